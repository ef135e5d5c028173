"""One amoCRM account behind REST v4 and OAuth, as in facts/amocrm.md; hooks leave as the vendor sends them."""
