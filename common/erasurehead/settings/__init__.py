"""The one configuration tree and where its values come from."""
