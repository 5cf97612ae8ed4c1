"""A parser of Prometheus' text format that forgives nothing: families whole and once, types, histograms that add up."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)')


class Broken(AssertionError):
    pass


def labels_of(text):
    labels, at = {}, 0
    while at < len(text or ""):
        match = LABEL.match(text, at)
        if match is None or match[1] in labels:
            raise Broken(f"labels {text!r}")
        labels[match[1]] = match[2]
        at = match.end()
    return labels


class Metrics:
    """families: name -> type; samples: (name, sorted labels) -> number."""

    def __init__(self, text):
        self.families, self.samples, self.help = {}, {}, {}
        current = None
        if not text.endswith("\n"):
            raise Broken("the last line does not end")
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, _, words = line[7:].partition(" ")
                if name in self.families or not words.strip():
                    raise Broken(f"HELP {name}")
                self.help[name] = words
                current = name
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                if name != current or name in self.families or kind not in ("counter", "gauge", "histogram"):
                    raise Broken(line)
                if (kind == "counter") != name.endswith("_total"):
                    raise Broken(f"{name} is a {kind}")
                self.families[name] = kind
            else:
                self.add(line, current)
        self.check_histograms()

    def add(self, line, current):
        match = SAMPLE.match(line)
        if match is None:
            raise Broken(line)
        name, labels = match[1], labels_of(match[2])
        base = re.sub(r"_(bucket|sum|count)$", "", name) if self.families.get(current) == "histogram" else name
        if base != current or current not in self.families:
            raise Broken(f"{name} stands in the family {current}")
        key = (name, tuple(sorted(labels.items())))
        if key in self.samples:
            raise Broken(f"twice: {line}")
        self.samples[key] = float(match[3])

    def check_histograms(self):
        for name, kind in self.families.items():
            if kind != "histogram":
                continue
            rows = {}
            for (sample, labels), value in self.samples.items():
                if sample == name + "_bucket":
                    rest = tuple(pair for pair in labels if pair[0] != "le")
                    rows.setdefault(rest, []).append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
            for rest, buckets in rows.items():
                values = [value for _, value in sorted(buckets)]
                if values != sorted(values) or sorted(buckets)[-1][0] != float("inf"):
                    raise Broken(f"{name}{rest}: {buckets}")
                if values[-1] != self.samples[(name + "_count", rest)] or (name + "_sum", rest) not in self.samples:
                    raise Broken(f"{name}{rest}: count and sum")

    def value(self, name, **labels):
        """0 when it is not there."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0)

    def sum(self, name, **labels):
        wanted = set(labels.items())
        return sum(value for (sample, have), value in self.samples.items() if sample == name and wanted <= set(have))

    def names(self):
        return {name for name, _ in self.samples}
