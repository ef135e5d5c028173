"""otmechalka.com as the brief proposes it and facts/otmechalka.md §9 assumes it: clients and tickets by external id."""
