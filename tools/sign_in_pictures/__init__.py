"""Pictures of the pages on which people sign in: ``python -m tools.sign_in_pictures`` draws them."""
