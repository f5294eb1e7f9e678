/** Source text with the numbers of its lines; those that something is wrong with are marked. */
import type { Fault } from '../states/plan';
import { useWords } from '../words/words';
import { Served } from './Served';

interface Props {
  label: string;
  value: string;
  onChange: (text: string) => void;
  faults: Fault[];
}

export function SourceField({ label, value, onChange, faults }: Props) {
  const { t } = useWords();
  const lines = value.split('\n').length;
  const wrong = new Set(faults.map((fault) => fault.line));
  return (
    <div>
      <div className="source" data-wrong={faults.length > 0 || undefined}>
        <ol className="source-lines" aria-hidden="true">
          {Array.from({ length: lines }, (_, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
            <li key={at} data-wrong={wrong.has(at + 1) || undefined}>
              {at + 1}
            </li>
          ))}
        </ol>
        <textarea
          aria-label={label}
          aria-invalid={faults.length > 0}
          value={value}
          rows={Math.max(12, lines)}
          wrap="off"
          spellCheck={false}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      </div>
      <Faults faults={faults} none={t('plan.text.lines', { count: lines })} />
    </div>
  );
}

export function Faults({ faults, none }: { faults: Fault[]; none?: string }) {
  const { t } = useWords();
  if (faults.length === 0) return none ? <p className="quiet small">{none}</p> : null;
  return (
    <ul className="faults" role="alert">
      {faults.map((fault) => (
        <li key={`${fault.line} ${fault.text}`}>
          {fault.line !== null && (
            <strong className="number">{t('plan.text.line', { line: fault.line })}</strong>
          )}{' '}
          <Served>{fault.text}</Served>
        </li>
      ))}
    </ul>
  );
}
