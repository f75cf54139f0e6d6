"""The report page of a large sweep in a real browser: its size, and when it can be used.

    python -m benchmarks.report [--trials 100000] [--dimensions 6]

A sweep is simulated (`simulated`): two arms, thresholds at every d and k asked, trials drawn from
logistic curves and laid where a search would lay them. Its answer is fitted and its page written as
for any sweep, and headless Chromium opens the file. Goals: under 8 MB, interactive within 3 s,
nothing on the console, no request to anywhere. A page is interactive when what the window shows is
drawn and the browser has nothing left to do; graphs further down are drawn when scrolled to.
"""
