"""``python -m rdrop_fairseq`` prints the path to give to fairseq's ``--user-dir``."""

from pathlib import Path

if __name__ == "__main__":
    print(Path(__file__).resolve().parent)
