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
    if (meta && meta.scale) {
      copy.marker.colorscale = meta.scale[theme];
      // Beside the picture a colour bar costs a third of a phone's width; below it, nothing.
      if (narrow.matches)
        Object.assign(copy.marker.colorbar, {
          orientation: "h", x: 0.5, xanchor: "center", y: -0.28, yanchor: "top", len: 1,
        });
    }
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
      zerolinecolor: variable("--faint"),
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
      height: layout.height || (small ? 330 : 380),
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
      showlegend: false,
      hovermode: "closest",
      // A finger scrolls the page; a mouse zooms.
      dragmode: coarse.matches ? false : "zoom",
      // Names of lines stand among the marks, so they bring their own paper.
      annotations: (layout.annotations || []).map((one) =>
        one.yref ? one : { ...one, bgcolor: variable("--card"), borderpad: 1, opacity: 0.9 },
      ),
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
      ...(layout.yaxis2 && { yaxis2: axis(layout.yaxis2) }),
    };
  }

  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };

  function draw() {
    const theme = prefersDark.matches ? "dark" : "light";
    return Promise.all(
      graphs.map((graph) => {
        const place = document.getElementById("graph-" + graph.id);
        // Repainting keeps what the reader has hidden.
        const hidden = new Set(
          [...document.querySelectorAll(`.legend [aria-pressed="false"][data-graph="${graph.id}"]`)].map(
            (button) => button.dataset.group,
          ),
        );
        const data = graph.data.map((trace) => ({
          ...painted(trace, theme),
          visible: !hidden.has(trace.legendgroup),
        }));
        return Plotly.react(place, data, dressed(graph.layout), config);
      }),
    );
  }

  function show(shown) {
    for (const one of document.querySelectorAll(".graphs")) one.hidden = !shown;
    document.documentElement.classList.toggle("live", shown);
  }

  function toggle(button) {
    const shown = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", String(shown));
    const place = document.getElementById("graph-" + button.dataset.graph);
    const members = place.data.flatMap((trace, index) =>
      trace.legendgroup === button.dataset.group ? [index] : [],
    );
    Plotly.restyle(place, { visible: shown }, members);
  }
  for (const button of document.querySelectorAll(".legend button"))
    button.addEventListener("click", () => toggle(button));

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
