/** What one keeps elsewhere, to verify this installation's reports and audit log without trusting it. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { auditHead, reportKey } from '../../api/queries';
import { Fact, Facts } from '../../parts/Facts';
import { FileText } from '../../parts/FileText';
import { Id } from '../../parts/Id';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { Permitted } from '../../parts/Permitted';
import { Badge } from '../../parts/StateBadge';
import { headState } from '../../states/audit';
import { useWords } from '../../words/words';

export function KeysPanel() {
  const { t } = useWords();
  const key = useQuery(reportKey());
  return (
    <Panel title={t('settings.verify')}>
      <h3>{t('system.report_key')}</h3>
      <p className="quiet">{t('system.report_key.what')}</p>
      <Live query={key}>
        {({ key: hex, pem, head }) => (
          <>
            <Facts>
              <Fact name="Ed25519">
                <Id value={hex} whole />
              </Fact>
              <Fact name={t('system.report_head')}>
                {head ? (
                  <>
                    {t('report.number', { number: head.number })} · <Id value={head.digest} />
                  </>
                ) : (
                  <span className="quiet">{t('common.none')}</span>
                )}
              </Fact>
            </Facts>
            <FileText text={pem.trim()} name="installation.pub" />
          </>
        )}
      </Live>
      <h3>{t('settings.audit')}</h3>
      <Permitted operations={['show_audit_head']}>
        <Head />
      </Permitted>
    </Panel>
  );
}

/** How far the audit log reaches; to read it is a page of its own, since reading is entered in it. */
function Head() {
  const { t } = useWords();
  const query = useQuery(auditHead());
  return (
    <Live query={query} polled={false}>
      {(head) => {
        const state = headState(head);
        return (
          <Facts>
            <Fact name={t('audit.state')}>
              <Badge tone={state === 'written' ? 'good' : 'bad'}>{t(`audit.state.${state}`)}</Badge>
            </Fact>
            <Fact name={t('audit.head')}>
              <Id value={`${head.sequence}:${head.hash}`} whole />
            </Fact>
            <Fact name={t('nav.audit')}>
              <Link to="/audit">{t('settings.audit.open')}</Link>
            </Fact>
          </Facts>
        );
      }}
    </Live>
  );
}
