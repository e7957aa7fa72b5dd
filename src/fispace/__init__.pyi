from fispace.library.activations import Activations as Activations
from fispace.library.activations import activations as activations
from fispace.library.arms import Arm as Arm
from fispace.library.arms import export_sae as export_sae
from fispace.library.arms import import_sae as import_sae
from fispace.library.arms import load_arm as load_arm
from fispace.library.arms import train as train
from fispace.library.interventions import generate as generate
from fispace.library.language_model import LanguageModel as LanguageModel
from fispace.library.language_model import load_lm as load_lm
from fispace.library.measures import fidelity as fidelity
from fispace.library.runs import Run as Run
from fispace.library.runs import open as open
from fispace.library.stimuli import test_2x2 as test_2x2

PUBLIC: dict[str, str]
