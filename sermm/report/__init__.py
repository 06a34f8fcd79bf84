"""Floor 4: tables, statistics, figures and HTML, from run folders only.

    sermm.runs.reading  ->  rows, comparisons, learning curves  ->  Table  ->  Report
                        ->  Grid (text cells)  ->  terminal, Markdown, page

`tables` computes and decides what there is to say; `output` only writes it down. So a number is
rounded once, and page, Markdown and terminal cannot differ.
"""
