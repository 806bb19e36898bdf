"""The face for Python: what ``import erasurehead as eh`` offers.

It stands on everything else, as the command does. `erasurehead/__init__.py` names what is here.
"""
