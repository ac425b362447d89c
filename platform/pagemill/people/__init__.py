"""People: how they sign in, what they have granted, and how that ends. No HTTP is known here."""
