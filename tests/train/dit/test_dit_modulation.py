"""Rows of the modulation table, and their gradient, which must not lose the many tokens of a clip."""

from __future__ import annotations

import pytest
import torch

from train.dit.modulation import gather_rows


@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float64, 1e-14), (torch.float32, 1e-5), (torch.bfloat16, 0.005)]
)
def test_the_gradient_is_the_sum_over_each_rows_tokens(dtype: torch.dtype, most: float) -> None:
    """Plain indexing adds one token after another: in bfloat16 it was 15 % off on 17,776 tokens."""
    generator = torch.Generator().manual_seed(0)
    rows_S = torch.cat([torch.ones(226), torch.zeros(8000), torch.full((50,), 3)]).long()
    table_RM = torch.randn(5, 48, generator=generator).to(dtype).requires_grad_()
    out_SM = gather_rows(table_RM, rows_S)
    assert torch.equal(out_SM, table_RM[rows_S])
    grad_SM = torch.randn(len(rows_S), 48, generator=generator).to(dtype)
    out_SM.backward(grad_SM)
    expected_RM = torch.zeros(5, 48, dtype=torch.float64).index_add_(0, rows_S, grad_SM.double())
    assert float((table_RM.grad.double() - expected_RM).norm() / expected_RM.norm()) < most
    assert not table_RM.grad[[2, 4]].any()
