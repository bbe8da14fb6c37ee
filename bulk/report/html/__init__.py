"""The report as one page of HTML that needs no network: see `bulk.report.html.page`."""
