"""File of a dataset's folder that tells people without pvtt_flow how to read the tables."""

from pvtt_flow.storage.files import read_bytes, write_bytes

NAME = "README.md"
TEXT = """\
# Masklets of product videos

pvtt_flow made this dataset: the Delta Lake tables `videos` (a row for each input) and `masklets`
(a row for each object in a shot). **Do not read the Parquet files by a glob or as a folder**: rows
that were replaced or deleted, and rows of killed runs, are among them. Read the tables by their
logs:

```python
from deltalake import DeltaTable  # pip install deltalake pyarrow

uri = "."  # this folder or bucket prefix
videos = DeltaTable(f"{uri}/videos")
masklets = DeltaTable(f"{uri}/masklets", videos.transaction_version("masklets") or 0)
```

The second argument is the version of `masklets` that belongs to `videos`; a later one may be that
of a killed run. Videos that are gone from their input are included; `gone_at_ns` says since when.
These lines leave them out, in DuckDB:

```python
import duckdb

v, m = videos.to_pyarrow_dataset(), masklets.to_pyarrow_dataset()
print(duckdb.sql("SELECT m.* FROM m JOIN v USING (video_id) WHERE gone_at_ns IS NULL"))
```

in Polars:

```python
import polars as pl

v, m = pl.scan_delta(videos), pl.scan_delta(masklets)
print(m.join(v.filter(pl.col("gone_at_ns").is_null()), on="video_id", how="semi").collect())
```

in pandas:

```python
v, m = videos.to_pandas(), masklets.to_pandas()
print(m[m["video_id"].isin(v.loc[v["gone_at_ns"].isna(), "video_id"])])
```

and in Spark with the package delta-spark (not tested by pvtt_flow):

```text
v = spark.read.format("delta").load(f"{uri}/videos").where("gone_at_ns IS NULL")
m = spark.read.format("delta").load(f"{uri}/masklets")
m.join(v, "video_id", "left_semi").show()
```

`pvtt_flow.open_dataset(uri)` does all of this, and also has clips of frames and masks for torch.
"""


def write_readme(uri: str) -> None:
    """Write the file into the dataset's folder, unless there is one of that name."""
    if read_bytes(f"{uri}/{NAME}") is None:
        write_bytes(f"{uri}/{NAME}", TEXT.encode())
