/** The last minutes as this page saw them. */
import type { Group } from '../../api/types';
import { bytes } from '../../format/bytes';
import { Panel } from '../../parts/Panel';
import { Plot } from '../../parts/Plot';
import { useTimes } from '../../parts/times';
import { remembered, series } from '../../states/samples';
import { useWords } from '../../words/words';

export function RecentPanel({ group }: { group: Group }) {
  const { t, span } = useWords();
  const { clockTime } = useTimes();
  const { at, rpo, rate, spooled } = series(remembered(group.id));
  const last = (values: (number | null)[], format: (value: number) => string) => {
    const value = values.at(-1);
    return value == null ? t('common.unknown') : format(value);
  };
  const perSecond = (value: number) => `${bytes(Math.round(value))}/s`;
  const plots = [
    { name: t('recent.rpo'), values: rpo, format: span },
    { name: t('recent.rate'), values: rate, format: perSecond },
    { name: t('recent.spool'), values: spooled, format: bytes },
  ];
  return (
    <Panel title={t('recent.title')} side={<span className="quiet small">{t('recent.what')}</span>}>
      <div className="plots">
        {plots.map(({ name, values, format }) => (
          <figure key={name}>
            <figcaption>
              {name} <strong className="number">{last(values, format)}</strong>
            </figcaption>
            <Plot
              label={`${name}: ${last(values, format)}`}
              at={at}
              values={values}
              format={format}
              clock={clockTime}
            />
          </figure>
        ))}
      </div>
    </Panel>
  );
}
