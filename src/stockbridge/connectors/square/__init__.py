"""Square point of sale, by its Inventory, Orders and Catalog APIs."""
