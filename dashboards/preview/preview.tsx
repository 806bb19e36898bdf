// Draws a dashboard with Grafana's own UI components from queried data: window.preview holds the
// board (as provisioned), the answers to its queries and the time range. Lines, figures, frames and
// legends are Grafana's; heatmaps are not part of its component library and are drawn here.
import {
  createTheme,
  dateTime,
  DisplayProcessor,
  Field,
  FieldType,
  getDisplayProcessor,
  MutableDataFrame,
  TimeRange,
} from '@grafana/data';
import {
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  PanelChrome,
  ThemeContext,
  TimeSeries,
} from '@grafana/ui';
import React from 'react';
import { createRoot } from 'react-dom/client';

type Series = { name: string; labels: Record<string, string>; values: Array<[number, number | null]> };
type Panel = any;

const { board, answers, from, to, width } = (window as any).preview as {
  board: any;
  answers: Record<string, Series[]>;
  from: number;
  to: number;
  width: number;
};
const theme = createTheme({ colors: { mode: 'light' } });
const COLUMN = width / 24;
const ROW = 36;
const GAP = 8;
const range: TimeRange = {
  from: dateTime(from * 1000),
  to: dateTime(to * 1000),
  raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) },
};

function withDisplay(field: Field): Field {
  field.display = getDisplayProcessor({ field, theme });
  return field;
}

function frames(panel: Panel) {
  const defaults = panel.fieldConfig.defaults;
  return answers[panel.key].map((series, i) => {
    const frame = new MutableDataFrame({
      fields: [
        { name: 'time', type: FieldType.time, values: series.values.map((v) => v[0] * 1000), config: {} },
        {
          name: series.name,
          type: FieldType.number,
          values: series.values.map((v) => v[1]),
          config: {
            ...defaults,
            displayName: series.name,
            custom: { ...defaults.custom, axisPlacement: 'auto', lineInterpolation: 'linear' },
          },
        },
      ],
    });
    frame.refId = `${i}`;
    frame.fields.forEach((field, j) => {
      field.state = { seriesIndex: i, displayName: j ? series.name : 'time' } as any;
      withDisplay(field);
    });
    return frame;
  });
}

function Heatmap({ panel, width, height }: { panel: Panel; width: number; height: number }) {
  const bounds = answers[panel.key]
    .map((s) => ({ bound: s.labels.le === '+Inf' ? Infinity : Number(s.labels.le), values: s.values }))
    .sort((a, b) => a.bound - b.bound);
  const times = bounds[0]?.values.map((v) => v[0]) ?? [];
  const display: DisplayProcessor = getDisplayProcessor({
    field: { name: '', type: FieldType.number, config: { unit: panel.options.yAxis.unit }, values: [] },
    theme,
  });
  const cells = bounds.map((b, i) =>
    times.map((_, t) => Math.max(0, (b.values[t]?.[1] ?? 0) - (i ? (bounds[i - 1].values[t]?.[1] ?? 0) : 0)))
  );
  const used = cells.map((row, i) => (row.some((x) => x > 0) ? i : -1)).filter((i) => i >= 0);
  const rows = cells.slice(Math.max(0, used[0] - 1), used[used.length - 1] + 2).map((row, i) => ({
    row,
    bound: bounds[Math.max(0, used[0] - 1) + i].bound,
  }));
  const most = Math.max(1e-9, ...rows.flatMap((r) => r.row));
  const left = 64;
  const bottom = 22;
  const w = (width - left) / Math.max(1, times.length);
  const h = (height - bottom) / Math.max(1, rows.length);
  const text = { fill: theme.colors.text.secondary, fontSize: 12, fontFamily: theme.typography.fontFamily };
  const clock = (t: number) => new Date(t * 1000).toISOString().slice(11, 16);
  return (
    <svg width={width} height={height}>
      {rows.map(({ row, bound }, i) => {
        const y = height - bottom - (i + 1) * h;
        return (
          <g key={bound}>
            <text x={left - 6} y={y + 10} textAnchor="end" {...text}>
              {bound === Infinity ? 'more' : display(bound).text + (display(bound).suffix ?? '')}
            </text>
            {row.map((x, t) =>
              x > 0 ? (
                <rect key={t} x={left + t * w} y={y} width={w + 0.3} height={h - 1} fill={`hsl(25 95% ${92 - 50 * Math.sqrt(x / most)}%)`} />
              ) : null
            )}
          </g>
        );
      })}
      {times.length > 0 && (
        <>
          <text x={left} y={height - 4} {...text}>{clock(times[0])}</text>
          <text x={width} y={height - 4} textAnchor="end" {...text}>{clock(times[times.length - 1])}</text>
        </>
      )}
    </svg>
  );
}

function Body({ panel, width, height }: { panel: Panel; width: number; height: number }) {
  if (panel.type === 'heatmap') {
    return <Heatmap panel={panel} width={width} height={height} />;
  }
  const data = frames(panel);
  if (panel.type === 'stat') {
    const field = data[0]?.fields[1];
    const last = field ? [...field.values].reverse().find((v) => v !== null) : null;
    return (
      <BigValue
        theme={theme}
        width={width}
        height={height}
        value={field?.display ? field.display(last) : { text: 'No data', numeric: NaN }}
        sparkline={field ? ({ y: field, x: data[0].fields[0] } as any) : undefined}
        colorMode={panel.options.colorMode === 'value' ? BigValueColorMode.Value : BigValueColorMode.None}
        graphMode={BigValueGraphMode.Area}
        justifyMode={BigValueJustifyMode.Auto}
      />
    );
  }
  return (
    <TimeSeries
      frames={data}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={{ ...panel.options.legend }}
    />
  );
}

function Board() {
  return (
    <div style={{ position: 'relative', background: theme.colors.background.canvas, width, height: board.height * ROW }}>
      {board.panels.map((panel: Panel) => {
        const grid = panel.gridPos;
        const w = grid.w * COLUMN - GAP;
        const h = grid.h * ROW - GAP;
        return (
          <div key={panel.id} style={{ position: 'absolute', left: grid.x * COLUMN + GAP / 2, top: grid.y * ROW + GAP / 2 }}>
            {panel.type === 'row' ? (
              <div style={{ font: `500 16px ${theme.typography.fontFamily}`, color: theme.colors.text.primary, padding: 6 }}>
                {panel.title}
              </div>
            ) : (
              <PanelChrome title={panel.title} width={w} height={h}>
                {(innerWidth, innerHeight) => <Body panel={panel} width={innerWidth} height={innerHeight} />}
              </PanelChrome>
            )}
          </div>
        );
      })}
    </div>
  );
}

createRoot(document.getElementById('root')!).render(
  <ThemeContext.Provider value={theme}>
    <Board />
  </ThemeContext.Provider>
);
