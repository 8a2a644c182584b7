"""Python's own scores: reads JSON lines with a "text", writes them with the scores of vaderSentiment.

`python score.py < sentences.jsonl` writes `sentences.jsonl` anew.
"""

import json
import sys

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyzer = SentimentIntensityAnalyzer()
for line in sys.stdin.buffer:
    text = json.loads(line)["text"]
    print(json.dumps({"text": text, **analyzer.polarity_scores(text)}))
