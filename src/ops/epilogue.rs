//! What a matrix product does besides, in the same launch.

use std::any::Any;

use super::{Add, Form, Gelu, GeluGradient, GeluSlope};
use crate::graph::{Absorption, Op};

/// What is done to the product before it is written, or beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epilogue {
    /// A bias is added.
    pub bias: bool,
    /// A tensor of as many columns is added, repeated over rows.
    pub residual: bool,
    /// GELU is applied.
    pub gelu: bool,
    /// The slope of GELU is written too.
    pub slope: bool,
    /// The product is multiplied by slopes of GELU, a tensor of its shape.
    pub gelu_gradient: bool,
    /// `A [k, m]` is summed over k, which is the gradient of a bias where the product is that of a weight.
    pub sums: bool,
}

impl Epilogue {
    /// Every choice that fusion can end in for products of `form`.
    pub fn of(form: Form) -> Vec<Epilogue> {
        let plain = Epilogue::default();
        let bias = Epilogue { bias: true, ..plain };
        let mut all = vec![
            plain,
            bias,
            Epilogue { residual: true, ..bias },
            Epilogue { residual: true, ..plain },
            Epilogue { gelu: true, ..bias },
            Epilogue { gelu: true, slope: true, ..bias },
            Epilogue { gelu_gradient: true, ..plain },
        ];
        all.extend((form == Form::TN).then_some(Epilogue { sums: true, ..plain }));
        all
    }

    /// Whether the product may be summed in parts: nothing depends on the whole sum.
    pub fn can_split(self) -> bool {
        Epilogue { sums: false, ..self } == Epilogue::default()
    }

    /// This with the consumer of the product done as well.
    pub fn absorb(self, absorption: &Absorption<'_>) -> Option<Epilogue> {
        let mut epilogue = self;
        let closed = self.gelu || self.gelu_gradient || self.sums;
        let product = absorption.inputs[absorption.at];
        if absorption.consumer_as::<Add>().is_some() && !closed && !self.residual {
            let other = absorption.inputs[1 - absorption.at];
            if absorption.at == 0 && other.len() == product.last() && !self.bias {
                epilogue.bias = true;
            } else if other.len().is_multiple_of(product.last()) && (absorption.at == 0 || other.len() == product.len())
            {
                epilogue.residual = true;
            } else {
                return None;
            }
        } else if absorption.consumer_as::<Gelu>().is_some() && self.takes_gelu() {
            epilogue.gelu = true;
        } else if absorption.consumer_as::<GeluGradient>().is_some()
            && absorption.at == 1
            && self == Epilogue::default()
        {
            epilogue.gelu_gradient = true;
        } else {
            return None;
        }
        Some(epilogue)
    }

    /// This with both of the only readers of the product done as well, of which the first comes out last.
    pub fn absorb_both(self, readers: [&dyn Op; 2]) -> Option<Epilogue> {
        let [gelu, slope]: [&dyn Any; 2] = [readers[0], readers[1]];
        (gelu.is::<Gelu>() && slope.is::<GeluSlope>() && self.takes_gelu()).then_some(Epilogue {
            gelu: true,
            slope: true,
            ..self
        })
    }

    /// Whether GELU can be what comes next.
    fn takes_gelu(self) -> bool {
        self == Epilogue { bias: true, ..Epilogue::default() }
    }
}
