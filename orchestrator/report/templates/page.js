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
    if (copy.textfont) copy.textfont.color = colour;
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
  const waiting = new Set(graphs);
  const place = (graph) => document.getElementById("graph-" + graph.id);

  function show(panel, shown) {
    panel.querySelector(".graphs").hidden = !shown;
    panel.classList.toggle("live", shown);
  }

  function paint(graph) {
    const theme = prefersDark.matches ? "dark" : "light";
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
    return Plotly.react(place(graph), data, dressed(graph.layout), config);
  }

  function draw(graph) {
    if (!waiting.delete(graph)) return Promise.resolve();
    const done = () => {
      place(graph).style.minHeight = "";
      document.documentElement.dataset.first ||= String(performance.now());
      document.documentElement.dataset.graphs = String(
        document.querySelectorAll(".panel.live .js-plotly-plot").length,
      );
    };
    const failed = (error) => {
      show(place(graph).closest(".panel"), false);
      console.error(`graph ${graph.id} could not be drawn:`, error);
    };
    try {
      return paint(graph).then(done, failed);
    } catch (error) {
      return Promise.resolve(failed(error));
    }
  }

  async function toggle(button) {
    const graph = graphs.find((one) => one.id === button.dataset.graph);
    await draw(graph);
    const shown = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", String(shown));
    const members = place(graph).data.flatMap((trace, index) =>
      trace.legendgroup === button.dataset.group ? [index] : [],
    );
    Plotly.restyle(place(graph), { visible: shown }, members);
  }
  for (const button of document.querySelectorAll(".legend button"))
    button.addEventListener("click", () => toggle(button));

  // Plotly measures its box, so boxes must be on the page before they are drawn in, and as high as
  // they will be, so that nothing moves under the reader.
  for (const graph of graphs) {
    place(graph).style.minHeight = dressed(graph.layout).height + "px";
    show(place(graph).closest(".panel"), true);
  }

  // A graph is drawn when it comes near the window: of a large sweep all of them take seconds, in
  // which the page would not answer.
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        near.unobserve(entry.target);
        draw(graphs.find((one) => place(one) === entry.target));
      }
    },
    { rootMargin: "600px" },
  );
  for (const graph of graphs) near.observe(place(graph));

  const redraw = () => {
    for (const graph of graphs) if (!waiting.has(graph)) paint(graph);
  };
  prefersDark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
})();
