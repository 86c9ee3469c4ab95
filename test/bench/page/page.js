// The charts of the bench's page; runs in the browser, after uPlot and the data.
(() => {
  const { variants, shapes, results } = JSON.parse(document.getElementById('data').textContent);
  const HEIGHT = 230;
  const PERCENTILES = ['p50Us', 'p90Us', 'p99Us', 'p999Us'];
  const PERCENTILE_NAMES = ['p50', 'p90', 'p99', 'p99.9'];
  const FONT = '12px system-ui, sans-serif';

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colorOf = (variant) => css(`--${variant}`);
  const find = (shape, variant) =>
    results.find((one) => one.shape === shape.name && one.variant === variant);

  function format(value) {
    if (value >= 100) return Math.round(value).toLocaleString('en-US');
    if (value >= 10) return value.toFixed(1);
    return value >= 1 || value === 0 ? value.toFixed(2) : value.toPrecision(2);
  }

  function short(value) {
    if (value >= 1e6) return `${value / 1e6}M`;
    if (value >= 1e3) return `${value / 1e3}k`;
    return String(value);
  }

  function titleOf(shape) {
    return `${shape.title}, ${shape.cpu === 'one' ? 'one CPU' : 'free CPUs'}`;
  }

  function card(grid, title, hint) {
    const element = document.createElement('div');
    element.className = 'card';
    const heading = document.createElement('h3');
    heading.textContent = title;
    const below = document.createElement('p');
    below.className = 'hint';
    below.textContent = hint;
    const chart = document.createElement('div');
    element.append(heading, below, chart);
    grid.append(element);
    return chart;
  }

  function axes(labels, vertical) {
    const common = {
      stroke: css('--soft'),
      font: FONT,
      ticks: { show: false },
    };
    return [
      {
        ...common,
        grid: { show: false },
        splits: () => labels.map((_, index) => index),
        values: () => labels,
        size: 42,
      },
      { ...common, grid: { stroke: css('--line'), width: 1 }, size: 52, ...vertical },
    ];
  }

  function options(element, settings) {
    return {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [18, 8, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      ...settings,
    };
  }

  // The figure over each bar, and a thin line over the middle half of its rounds.
  function annotate(chart, rows, headline) {
    const { ctx } = chart;
    ctx.save();
    ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'center';
    ctx.lineWidth = 1.5 * devicePixelRatio;
    rows.forEach((row, index) => {
      const x = chart.valToPos(index, 'x', true);
      const [lower, upper] = row.spread.map((value) =>
        Math.max(chart.valToPos(value, 'y', true), chart.bbox.top),
      );
      ctx.strokeStyle = css('--text');
      ctx.beginPath();
      ctx.moveTo(x, lower);
      ctx.lineTo(x, upper);
      ctx.stroke();
      ctx.fillStyle = css('--text');
      ctx.fillText(
        format(row[headline]),
        x,
        Math.min(upper, chart.valToPos(row[headline], 'y', true)) - 6 * devicePixelRatio,
      );
    });
    ctx.restore();
  }

  function barChart(grid, shape) {
    const rows = variants
      .map((variant) => find(shape, variant))
      .filter((row) => row && row[shape.headline] !== null);
    const better = shape.higherIsBetter ? 'more is better' : 'less is better';
    const element = card(grid, titleOf(shape), `${shape.name}: ${shape.label}, ${better}`);
    // One slow round shall not flatten all bars.
    const tallest = Math.max(...rows.map((row) => row[shape.headline]));
    const top = Math.min(tallest * 1.3, Math.max(...rows.map((row) => row.spread[1])));
    const colors = rows.map((row) => colorOf(row.variant));
    const bars = uPlot.paths.bars({
      size: [0.62, 56],
      radius: 0.06,
      disp: {
        fill: { unit: 3, values: () => colors },
        stroke: { unit: 3, values: () => colors },
      },
    });
    return new uPlot(
      options(element, {
        scales: {
          x: { time: false, range: [-0.6, rows.length - 0.4] },
          y: { range: [0, top * 1.12] },
        },
        axes: axes(
          rows.map((row) => row.variant.replace('-', '\n')),
          { values: (_, values) => values.map(short) },
        ),
        series: [{}, { paths: bars, points: { show: false }, fill: colors[0] }],
        hooks: { draw: [(chart) => annotate(chart, rows, shape.headline)] },
      }),
      [rows.map((_, index) => index), rows.map((row) => row[shape.headline])],
      element,
    );
  }

  function tailChart(grid, shape) {
    const rows = variants
      .map((variant) => find(shape, variant))
      .filter((row) => row && row.p999Us !== null);
    const element = card(grid, titleOf(shape), shape.name);
    const all = rows.flatMap((row) => PERCENTILES.map((name) => row[name]));
    const first = Math.floor(Math.log10(Math.min(...all)));
    const last = Math.ceil(Math.log10(Math.max(...all)));
    const decades = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
    return new uPlot(
      options(element, {
        scales: {
          x: { time: false, range: [-0.3, PERCENTILES.length - 0.7] },
          y: { distr: 3, range: [decades[0], decades.at(-1)] },
        },
        axes: axes(PERCENTILE_NAMES, { splits: () => decades, values: () => decades.map(short) }),
        series: [
          {},
          ...rows.map((row) => ({
            stroke: colorOf(row.variant),
            width: row.variant === 'podwire' ? 3 : 2,
            points: { show: true, size: 7, fill: colorOf(row.variant) },
          })),
        ],
      }),
      [
        PERCENTILES.map((_, index) => index),
        ...rows.map((row) => PERCENTILES.map((name) => row[name])),
      ],
      element,
    );
  }

  let charts = [];
  function draw() {
    for (const chart of charts) chart.destroy();
    const bars = document.getElementById('bars');
    const tails = document.getElementById('tails');
    bars.replaceChildren();
    tails.replaceChildren();
    const timed = shapes.filter((shape) => shape.headline !== 'gbps');
    charts = [
      ...shapes.map((shape) => barChart(bars, shape)),
      ...timed.map((shape) => tailChart(tails, shape)),
    ];
  }

  draw();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  addEventListener('resize', draw);
})();
