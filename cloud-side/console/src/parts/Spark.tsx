/** A line without axes, for a row of a table: its shape says whether something is growing. */
interface Props {
  values: (number | null)[];
  label: string;
}

const WIDTH = 96;
const HEIGHT = 22;

/** The line in pieces: what was not known separates them. Pure, so that it can be tested. */
export function sparkPath(values: (number | null)[], width = WIDTH, height = HEIGHT): string {
  const highest = Math.max(...values.map((value) => value ?? 0), 1e-9);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let path = '';
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = (index * step).toFixed(1);
    const y = (height - 1 - (value / highest) * (height - 2)).toFixed(1);
    path += `${drawing ? 'L' : 'M'}${x} ${y}`;
    drawing = true;
  });
  return path;
}

export function Spark({ values, label }: Props) {
  if (values.length < 2) return <span className="spark-room" />;
  return (
    <svg className="spark" width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <path d={sparkPath(values)} />
    </svg>
  );
}
