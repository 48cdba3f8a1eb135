"""The store: one corpus's records as Parquet, a column a lead, and the readers of it.

- `layout`: the shards `signals-NNNNN.parquet`, their columns, the order of rows.
- `writer`: one shard; `index`: what every reader asks first, in one file beside the shards.
- `reading`: columns of all rows, signals of some leads.
- `pairs`: the stores that are trained on, read as one.
"""

from kmerl.store.index import Groups, Index, read_index, write_index
from kmerl.store.layout import NAME, StoreError, label_column, schema, shards
from kmerl.store.pairs import PairStores
from kmerl.store.reading import (
    OpenShards,
    read_parquet,
    read_signals,
    read_table,
    row_groups,
    whole_range,
)
from kmerl.store.writer import ShardWriter

__all__ = [
    "NAME",
    "Groups",
    "Index",
    "OpenShards",
    "PairStores",
    "ShardWriter",
    "StoreError",
    "label_column",
    "read_index",
    "read_parquet",
    "read_signals",
    "read_table",
    "row_groups",
    "schema",
    "shards",
    "whole_range",
    "write_index",
]
