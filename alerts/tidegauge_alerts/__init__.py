"""From a finding to a delivered message: rules, lifecycle, grouping, routing, transports."""
