// Draws the graphs, in the reader's colours, and shows them in place of the printed pictures.
// A graph that fails leaves its printed picture where it is.
"use strict";
(() => {
  const graphs = JSON.parse(document.getElementById("graphs").textContent);
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 640px)");
  const coarse = matchMedia("(pointer: coarse)");

  const variable = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A trace's own colour comes in `meta`; marks without one (a scale by value) get the scale.
  function painted(trace, theme) {
    const copy = structuredClone(trace);
    const { meta } = copy;
    if (meta && meta.scale) copy.marker.colorscale = meta.scale[theme];
    const colour = meta && meta[theme];
    if (!colour) return copy;
    copy.line = { ...copy.line, color: colour };
    if (copy.marker) copy.marker.color = colour;
    if (copy.error_y) copy.error_y.color = colour;
    if (copy.fill) copy.fillcolor = colour + "30";
    return copy;
  }

  function axis(given) {
    return {
      gridcolor: variable("--line"),
      zeroline: false,
      linecolor: variable("--faint"),
      automargin: true,
      ...given,
      title: { ...(given && given.title), standoff: 8 },
    };
  }

  function dressed(layout) {
    const small = narrow.matches;
    return {
      ...layout,
      height: layout.height || (small ? 380 : 400),
      margin: { l: 8, r: 12, t: 12, b: 8 },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: "system-ui, sans-serif", size: small ? 11 : 12.5, color: variable("--ink") },
      hoverlabel: {
        bgcolor: variable("--card"),
        bordercolor: variable("--faint"),
        font: { color: variable("--ink") },
        align: "left",
      },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
      hovermode: "closest",
      // A finger scrolls the page; a mouse zooms.
      dragmode: coarse.matches ? false : "zoom",
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
    };
  }

  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };

  function draw() {
    const theme = prefersDark.matches ? "dark" : "light";
    return Promise.all(
      graphs.map((graph) => {
        const place = document.getElementById("graph-" + graph.id);
        const data = graph.data.map((trace) => painted(trace, theme));
        return Plotly.react(place, data, dressed(graph.layout), config);
      }),
    );
  }

  function show(shown) {
    for (const one of document.querySelectorAll(".graphs")) one.hidden = !shown;
    document.documentElement.classList.toggle("live", shown);
  }

  // Plotly measures its box, so boxes must be on the page before they are drawn in.
  show(true);
  draw().then(
    () => {
      document.documentElement.dataset.graphs = String(graphs.length);
      const redraw = () => draw();
      prefersDark.addEventListener("change", redraw);
      narrow.addEventListener("change", redraw);
    },
    (error) => {
      show(false);
      console.error("graphs could not be drawn:", error);
    },
  );
})();
