"""Tests of ErasureHead, by the folders of the packages."""
