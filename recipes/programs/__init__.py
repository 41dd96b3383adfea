"""Programs other than the recipe's rounds: each a function of a few lines that runs stages and hands results on."""
