"""The chain's sums and best paths are those of all paths, one by one."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from bertkit.models.crf import ChainScores, bio_constraints

LABELS = ["O", "B-A", "I-A", "B-C", "I-C"]


def chain(*, learnt: bool = True, constrained: bool = True) -> ChainScores:
    torch.manual_seed(1)
    made = ChainScores(LABELS, learnt=learnt, constrained=constrained).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Emissions of rows with 4, 2 and 1 tokens, their mask, and edges of a window from the middle among them."""
    emissions = torch.randn(3, 4, len(LABELS), generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2
    mask = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    return emissions, mask, torch.tensor([[1, 1], [0, 0], [0, 1]])


def all_paths(made: ChainScores, emissions: Tensor, length: int, edges: Tensor) -> dict[tuple[int, ...], float]:
    start, end, step = (value.detach() for value in made.scores(emissions.device))
    found = {}
    for path in product(range(len(LABELS)), repeat=length):
        total = edges[0] * start[path[0]] + edges[1] * end[path[-1]]
        total = total + sum(emissions[i, tag] for i, tag in enumerate(path))
        found[path] = float(total + sum(step[a, b] for a, b in pairwise(path)))
    return found


@pytest.mark.parametrize("learnt", [True, False])
@pytest.mark.parametrize("constrained", [True, False])
def test_likelihoods_marginals_and_best_paths_are_those_of_all_paths(learnt: bool, constrained: bool) -> None:
    made = chain(learnt=learnt, constrained=constrained)
    emissions, mask, edges = inputs()
    tags = torch.tensor([[1, 2, 0, 3], [2, 2, 0, 0], [4, 0, 0, 0]])
    likelihood = made.log_likelihood(emissions, tags, mask, edges)
    marginals, best = made.marginals(emissions, mask, edges), made.decode(emissions, mask, edges)
    for row, length in enumerate((4, 2, 1)):
        scores = all_paths(made, emissions[row], length, edges[row])
        values = torch.tensor(list(scores.values()), dtype=torch.float64)
        expected = scores[tuple(tags[row, :length].tolist())] - values.logsumexp(0)
        assert likelihood[row].item() == pytest.approx(expected.item(), abs=1e-9)
        assert tuple(best[row, :length].tolist()) == max(scores, key=scores.__getitem__)
        probabilities = (values - values.logsumexp(0)).exp()
        for place in range(length):
            for tag in range(len(LABELS)):
                here = torch.tensor([path[place] == tag for path in scores])
                assert marginals[row, place, tag].item() == pytest.approx(probabilities[here].sum().item(), abs=1e-9)


def test_padding_changes_nothing() -> None:
    made = chain()
    emissions, mask, edges = inputs()
    alone = made.log_likelihood(emissions[1:2, :2], torch.tensor([[2, 0]]), mask[1:2, :2], edges[1:2])
    tags = torch.tensor([[0, 0, 0, 0], [2, 0, -100, -100], [0, 0, 0, 0]])
    assert torch.allclose(made.log_likelihood(emissions, tags, mask, edges)[1], alone[0])


def test_no_path_breaks_the_scheme_however_much_the_emissions_want_it() -> None:
    generator = torch.Generator().manual_seed(3)
    emissions = torch.randn(64, 12, len(LABELS), generator=generator) * 8
    emissions[..., 2] += 30
    mask = torch.ones(64, 12, dtype=torch.bool)
    begins, follows = bio_constraints(LABELS)
    for made in (chain().float(), chain(learnt=False)):
        for path in made.decode(emissions, mask).tolist():
            assert begins[path[0]]
            assert all(follows[a, b] for a, b in pairwise(path))


def test_what_may_follow_what() -> None:
    begins, follows = bio_constraints(LABELS)
    assert begins.tolist() == [True, True, False, True, False]
    assert follows[:, 2].tolist() == [False, True, True, False, False]
    assert follows[:, [0, 1, 3]].all()


def test_gradients_reach_every_score_and_are_finite() -> None:
    made = chain()
    emissions, mask, edges = inputs()
    emissions.requires_grad_()
    tags = torch.tensor([[1, 2, 0, 3], [2, 2, 0, 0], [4, 0, 0, 0]])
    made.log_likelihood(emissions, tags, mask, edges).sum().backward()
    for value in (emissions, *made.parameters()):
        assert value.grad is not None
        assert value.grad.isfinite().all()
        assert value.grad.abs().sum() > 0


def test_scores_first_used_in_inference_serve_training_too() -> None:
    made = chain()
    emissions, mask, _ = inputs()
    with torch.inference_mode():
        made.decode(emissions, mask)
    made.log_likelihood(emissions, torch.zeros(3, 4, dtype=torch.long), mask).sum().backward()
