from kmerl.predict.loading import load as load
from kmerl.predict.model import Model as Model
from kmerl.recordings import RecordError as RecordError
from kmerl.recordings import Recording as Recording
from kmerl.recordings import from_array as from_array
from kmerl.recordings import read as read

__version__: str
