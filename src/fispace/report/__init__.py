"""What the paper claims, what this study finds, and the verdict on each claim.

The modules in the order in which one reads from another:
1. `claims` (workflow/claims.yaml) and `weaknesses` (workflow/weaknesses.yaml): what the paper prints.
2. `quantities`, `paper_quantities`: every number that can answer a claim, by name and seed.
3. `answers`, `judge`, `verdicts`: the numbers of one claim, its test, and its verdict.
4. `ledger`: one row per claim. `compare`: the ledgers of several runs. `audit`: what each weakness moves.
5. `markdown`, `summary`, `pages`: the pages. `diagrams`, `figures`, `draw`: the figures.
6. `explain`, `explain_*`, `explanations`, `origins`: where a number comes from.
"""
