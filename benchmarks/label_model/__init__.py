"""Labels, class shares, precision and false changes of the label model, beside other models."""
