from erasurehead_face.clusters.ray import train as train
