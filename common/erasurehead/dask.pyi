from erasurehead_face.clusters.dask import train as train
