"""Tables of any size: read in pieces, typed as a whole, written as rows of a store.

Text and Parquet files become the same pieces of Arrow arrays (`source`), readers make numbers and
codes of them (`readers`), these wait on disk (`spill`) until it is known how many rows there are
and in which order the store has them (`order`), and are then encoded block by block (`encoded`).
"""
