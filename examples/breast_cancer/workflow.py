"""Tell malignant from benign tumours: stock flytekit, on the Wisconsin data set that scikit-learn carries.

    load ─► split ─► train (three candidates side by side) ─► choose ─► report

569 real measurements go through the whole control plane: a pandas frame, a dataclass, files, and plain numbers and
strings travel between tasks that each run in a process of their own.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import joblib
import pandas as pd
from flytekit import FlyteFile, Resources, current_context, task, workflow
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CANDIDATES = {
    "logistic": lambda seed: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed)),
    "forest": lambda seed: RandomForestClassifier(n_estimators=100, random_state=seed),
    "neighbours": lambda seed: make_pipeline(StandardScaler(), KNeighborsClassifier()),
}


@dataclass
class Score:
    """How well a candidate does on rows that it has not seen."""

    candidate: str
    accuracy: float
    f1: float
    rows: int


@task(requests=Resources(cpu="500m", mem="200Mi"))
def load() -> pd.DataFrame:
    """The data set as one frame: thirty measurements a row, and the diagnosis."""
    return load_breast_cancer(as_frame=True).frame


@task
def split(frame: pd.DataFrame, test_share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, and rows to be judged by."""
    train, test = train_test_split(frame, test_size=test_share, random_state=seed, stratify=frame["target"])
    return train, test


@task(retries=1)
def train(rows: pd.DataFrame, candidate: str, seed: int) -> FlyteFile:
    """Fit one candidate and keep the model as a file."""
    model = CANDIDATES[candidate](seed).fit(rows.drop(columns="target"), rows["target"])
    path = Path(current_context().working_directory) / f"{candidate}.joblib"
    joblib.dump(model, path)
    return FlyteFile(str(path))


@task
def evaluate(model: FlyteFile, rows: pd.DataFrame, candidate: str) -> Score:
    """Judge one model by the rows that were held back."""
    predicted = joblib.load(model.download()).predict(rows.drop(columns="target"))
    return Score(
        candidate,
        float(accuracy_score(rows["target"], predicted)),
        float(f1_score(rows["target"], predicted)),
        len(rows),
    )


@task
def choose(scores: list[Score]) -> Score:
    """The candidate with the best F1 score."""
    return max(scores, key=lambda score: (score.f1, score.candidate))


@task
def report(scores: list[Score], best: Score) -> tuple[str, float, FlyteFile]:
    """The winner in a sentence, its accuracy, and every score as a JSON file."""
    path = Path(current_context().working_directory) / "scores.json"
    path.write_text(json.dumps([score.__dict__ for score in scores], indent=2))
    sentence = f"{best.candidate} wins with F1 {best.f1:.3f} on {best.rows} rows"
    return sentence, best.accuracy, FlyteFile(str(path))


@workflow
def classify(test_share: float = 0.25, seed: int = 7) -> tuple[str, float, FlyteFile]:
    """Train three candidates side by side and report the best."""
    train_rows, test_rows = split(frame=load(), test_share=test_share, seed=seed)
    scores = []
    for candidate in ("logistic", "forest", "neighbours"):
        model = train(rows=train_rows, candidate=candidate, seed=seed)
        scores.append(evaluate(model=model, rows=test_rows, candidate=candidate))
    return report(scores=scores, best=choose(scores=scores))
