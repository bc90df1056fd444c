// Draws the table of hours as bars; the table says the same to those who do not see them.
"use strict";

function draw() {
  const place = document.querySelector(".chart");
  const rows = [...document.querySelectorAll(".hours [data-at]")].reverse();
  if (!place || !rows.length) return;
  const column = (name) => rows.map((row) => Number(row.dataset[name]));
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const bars = uPlot.paths.bars({ size: [0.8, 40] });
  const series = (label, tone) => ({ label, stroke: colour(tone), fill: colour(tone), paths: bars, points: { show: false } });
  const axis = { stroke: colour("--front"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
  place.replaceChildren();
  new uPlot({
    width: place.clientWidth, height: 220, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(high, 1)] } },
    axes: [axis, { ...axis, size: 60 }],
    series: [{}, series("deliveries", "--link"), series("failed, parked or quarantined", "--bad")],
    legend: { live: false },
  }, [column("at"), column("all"), column("bad")], place);
}
draw();
document.addEventListener("fresh", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
