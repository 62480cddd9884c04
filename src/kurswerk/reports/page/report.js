"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const options = { displayModeBar: false };
  const draw = (ground, width) => {
    for (const [id, drawn] of Object.entries(charts)) {
      const layout = { ...drawn[ground].layout };
      if (width) layout.width = width(document.getElementById(id));
      Plotly.react(id, drawn[ground].data, layout, options);
    }
  };
  const show = () => draw(dark.matches ? "dark" : "light");
  // Paper is light and about 680 pixels wide, whatever the screen is.
  const paper = (plot) => (plot.closest(".pair") ? 320 : 680);
  show();
  dark.addEventListener("change", show);
  const widths = new WeakMap();
  const resized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const before = widths.get(target);
      widths.set(target, contentRect.width);
      if (before !== contentRect.width && contentRect.width > 0) Plotly.Plots.resize(target);
    }
  });
  for (const id of Object.keys(charts)) resized.observe(document.getElementById(id));
  window.addEventListener("beforeprint", () => draw("light", paper));
  window.addEventListener("afterprint", show);
  // The contents lie open beside the text where there is room for it.
  const contents = document.getElementById("contents-list");
  const wide = window.matchMedia("(min-width: 68rem)");
  const unfold = () => { contents.open = wide.matches; };
  unfold();
  wide.addEventListener("change", unfold);
})();
