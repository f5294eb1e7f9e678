/** How far the log reaches, whether it can be written, and how somebody proves that nothing of it was changed. */
import { Alert } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { auditHead } from '../../api/queries';
import { Fact, Facts } from '../../parts/Facts';
import { FileButton } from '../../parts/FileButton';
import { FileText } from '../../parts/FileText';
import { Id } from '../../parts/Id';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { Served } from '../../parts/Served';
import { Badge } from '../../parts/StateBadge';
import { type AuditFilter, exportPath, headState, verifyLine } from '../../states/audit';
import { useWords } from '../../words/words';

export function VerifyPanel({ filter }: { filter: AuditFilter }) {
  const { t } = useWords();
  const query = useQuery(auditHead());
  const part = Boolean(filter.from || filter.to);
  return (
    <Panel
      title={t('audit.verify')}
      side={
        <FileButton
          path={exportPath(filter)}
          name="audit.jsonl"
          label={t(part ? 'audit.export.part' : 'audit.export')}
        />
      }
    >
      <p>{t('audit.verify.what')}</p>
      <Live query={query} polled={false}>
        {(head) => (
          <>
            {head.trouble && (
              <Alert color="red" role="alert" title={t('audit.trouble')}>
                <Served>{head.trouble}</Served>
              </Alert>
            )}
            {head.warning && (
              <Alert color="yellow" title={t('audit.large')}>
                <Served>{head.warning}</Served>
              </Alert>
            )}
            {head.damage.length > 0 && (
              <Alert color="red" role="alert" title={t('audit.damage')}>
                <ul>
                  {head.damage.map((what) => (
                    <li key={what}>
                      <Served>{what}</Served>
                    </li>
                  ))}
                </ul>
                <p>{t('audit.damage.what')}</p>
              </Alert>
            )}
            <Facts>
              <Fact name={t('audit.state')}>
                <Badge tone={headState(head) === 'written' ? 'good' : 'bad'}>
                  {t(`audit.state.${headState(head)}`)}
                </Badge>
              </Fact>
              <Fact name={t('audit.head')}>
                <Id value={`${head.sequence}:${head.hash}`} whole />
              </Fact>
            </Facts>
            <p className="quiet">{t('audit.head.what')}</p>
            {head.signed && (
              <FileText
                text={JSON.stringify(head.signed, null, 2)}
                name={`audit-head-${head.sequence}.json`}
              />
            )}
            <h3>{t('audit.command')}</h3>
            <p className="quiet">{t('audit.command.what')}</p>
            <FileText
              text={`bcdr report key > installation.pub\n${verifyLine(filter, head)}`}
              name="verify.sh"
            />
          </>
        )}
      </Live>
    </Panel>
  );
}
