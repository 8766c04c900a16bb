"""A linear-chain conditional random field over tags (Lafferty et al. 2001), and decoding under constraints."""

import torch
from torch import Tensor, nn

FORBIDDEN = -1e4  # a score that no path of allowed tags can fall below, and that float32 still adds exactly enough


def bio_constraints(labels: list[str]) -> tuple[Tensor, Tensor]:
    """Which tags may begin a sentence, (labels,), and which may follow which, (labels from, labels to); true where allowed."""
    begins = torch.tensor([not label.startswith("I-") for label in labels])
    follows = torch.tensor([[_may_follow(one, other) for other in labels] for one in labels])
    return begins, follows


def _may_follow(before: str, after: str) -> bool:
    return not after.startswith("I-") or before[2:] == after[2:]


class ChainScores(nn.Module):
    """Scores of beginning with, ending with and going from tag to tag: learnt, or zero; forbidden ones far below.

    `emissions` are (rows, length, labels), `mask` (rows, length) is true at tokens, of which every row has one or more, at
    its start. `edges` (rows, 2) is 1 where a row begins and where it ends its sentence, as all do without it: a window from
    the middle may begin with any tag.
    """

    def __init__(self, labels: list[str], *, learnt: bool, constrained: bool = True) -> None:
        super().__init__()
        self.learnt = learnt
        self._labels, self._constrained = labels, constrained
        # Not buffers: they follow from the labels, and a checkpoint's reader must not look for them.
        self._penalties: dict[torch.device, tuple[Tensor, Tensor]] = {}
        if learnt:
            size = len(labels)
            self.start_transitions = nn.Parameter(torch.empty(size))
            self.end_transitions = nn.Parameter(torch.empty(size))
            self.transitions = nn.Parameter(torch.empty(size, size))
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """New scores, nearly indifferent."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def scores(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Of beginning with a tag and ending with it, (labels,), and of going from one to another, (labels, labels)."""
        if device not in self._penalties:
            penalty = FORBIDDEN if self._constrained else 0.0
            with torch.inference_mode(False):  # they may serve training later
                begins, follows = (allowed.to(device) for allowed in bio_constraints(self._labels))
                self._penalties[device] = (~begins * penalty, ~follows * penalty)
        start, step = self._penalties[device]
        if not self.learnt:
            return start, torch.zeros_like(start), step
        return start + self.start_transitions, self.end_transitions, step + self.transitions

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor, edges: Tensor | None = None) -> Tensor:
        """The log-probability of `tags` (rows, length) in each row, (rows,)."""
        partition = torch.logsumexp(self._forward(emissions, mask, edges)[-1] + self._outer(emissions, edges)[1], 1)
        return self._score(emissions, tags, mask, edges) - partition

    def _outer(self, emissions: Tensor, edges: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores of beginning and ending each row with each tag, both (rows, labels)."""
        start, end, _ = self.scores(emissions.device)
        if edges is None:
            return start.expand(len(emissions), -1), end.expand(len(emissions), -1)
        return start * edges[:, :1], end * edges[:, 1:]

    def _score(self, emissions: Tensor, tags: Tensor, mask: Tensor, edges: Tensor | None) -> Tensor:
        start, end = self._outer(emissions, edges)
        step = self.scores(emissions.device)[2]
        tags = tags.where(mask, torch.zeros_like(tags))
        own = emissions.gather(2, tags[..., None])[..., 0]
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1)
        total = (own * mask).sum(1) + (step[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)
        return total + start.gather(1, tags[:, :1])[:, 0] + end.gather(1, last)[:, 0]

    def _forward(self, emissions: Tensor, mask: Tensor, edges: Tensor | None) -> list[Tensor]:
        """Log sums over all beginnings, up to each token, of (rows, labels); past a row's end they stay as they were."""
        step = self.scores(emissions.device)[2]
        alpha = self._outer(emissions, edges)[0] + emissions[:, 0]
        found = [alpha]
        for i in range(1, emissions.shape[1]):
            longer = torch.logsumexp(alpha[:, :, None] + step, 1) + emissions[:, i]
            alpha = torch.where(mask[:, i, None], longer, alpha)
            found.append(alpha)
        return found

    def marginals(self, emissions: Tensor, mask: Tensor, edges: Tensor | None = None) -> Tensor:
        """The probability of each tag at each token, (rows, length, labels)."""
        step = self.scores(emissions.device)[2]
        beta = self._outer(emissions, edges)[1]
        betas = [beta]
        for i in range(emissions.shape[1] - 1, 0, -1):
            longer = torch.logsumexp(step + (emissions[:, i] + beta)[:, None, :], 2)
            beta = torch.where(mask[:, i, None], longer, beta)
            betas.append(beta)
        joint = torch.stack(self._forward(emissions, mask, edges), 1) + torch.stack(betas[::-1], 1)
        return joint.softmax(-1)

    def decode(self, emissions: Tensor, mask: Tensor, edges: Tensor | None = None) -> Tensor:
        """The best allowed tags (rows, length), by Viterbi's algorithm; past a row's end they repeat its last."""
        start, end = self._outer(emissions, edges)
        step = self.scores(emissions.device)[2]
        best = start + emissions[:, 0]
        stay = torch.arange(best.shape[1], device=best.device).expand_as(best)
        back: list[Tensor] = []
        for i in range(1, emissions.shape[1]):
            scores, came_from = (best[:, :, None] + step).max(1)
            best = torch.where(mask[:, i, None], scores + emissions[:, i], best)
            back.append(torch.where(mask[:, i, None], came_from, stay))
        tag = (best + end).argmax(1)
        path = [tag]
        for came_from in reversed(back):
            tag = came_from.gather(1, tag[:, None])[:, 0]
            path.append(tag)
        return torch.stack(path[::-1], 1)
