/** What would be lost, in seconds and in bytes. A lower bound is called one; what cannot be told says why. */
import type { Loss, LossWindow } from '../api/types';
import { bytes, exactBytes } from '../format/bytes';
import { useWords } from '../words/words';

interface FigureProps {
  loss: Loss;
  name: string;
  format: (value: number) => string;
  exact: (value: number) => string;
}

function Figure({ loss, name, format, exact }: FigureProps) {
  const { t } = useWords();
  if ('unknown' in loss) {
    return (
      <div className="figure" data-tone="unknown">
        <div className="figure-value">{t('common.unknown')}</div>
        <div className="figure-name">
          {name}: {t(`loss.unknown.${loss.unknown}`)}
        </div>
      </div>
    );
  }
  const value = 'exactly' in loss ? loss.exactly : loss.at_least;
  const bound = 'at_least' in loss;
  return (
    <div className="figure" data-tone={!bound && value === 0 ? 'good' : 'warn'}>
      <div className="figure-value number" title={exact(value)}>
        {bound && '≥ '}
        {format(value)}
      </div>
      <div className="figure-name">
        {name}
        {bound && ` · ${t('loss.at_least')}`}
      </div>
    </div>
  );
}

interface Props {
  loss: LossWindow;
  /** Taken back and kept under a bookmark, not lost. */
  undoable?: boolean;
}

export function LossFigures({ loss, undoable = false }: Props) {
  const { t, wholeSpan } = useWords();
  return (
    <div className="figures">
      <Figure
        loss={loss.seconds}
        name={t(undoable ? 'loss.seconds.undoable' : 'loss.seconds')}
        format={(value) => wholeSpan(value)}
        exact={(value) => `${value} s`}
      />
      <Figure
        loss={loss.bytes}
        name={t(undoable ? 'loss.bytes.undoable' : 'loss.bytes')}
        format={bytes}
        exact={exactBytes}
      />
    </div>
  );
}
