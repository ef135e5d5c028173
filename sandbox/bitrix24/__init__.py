"""A Bitrix24 portal as an incoming webhook sees it (facts/bitrix24.md): one concept of that sheet per file."""
