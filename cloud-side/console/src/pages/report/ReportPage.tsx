/** A signed report: whether its signature holds, and what it says. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useParams } from 'react-router';
import { reportKey, reportText } from '../../api/queries';
import { Bytes } from '../../parts/Bytes';
import { Fact, Facts } from '../../parts/Facts';
import { FileButton } from '../../parts/FileButton';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { toDrill, toFailback, toFailover, toGroup, toRestore } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { Badge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import type { Tone } from '../../states/tones';
import { useWords } from '../../words/words';
import { eventParts, type ReportContent, readReport, recoveryTimes, type SignedReport } from './document';
import { resultTone } from './results';
import { type Verdict, verify } from './verify';

export function ReportPage() {
  const { t } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(reportText(id));
  return (
    <Live query={query} polled={false}>
      {(text) => {
        const signed = readReport(text);
        return signed ? <Shown signed={signed} /> : <p role="alert">{t('report.unreadable')}</p>;
      }}
    </Live>
  );
}

const SUBJECTS: Record<string, (id: string) => string> = {
  drill: toDrill,
  failover: toFailover,
  failback: toFailback,
  restore: toRestore,
};

/** The words for a phase of a drill or a step of a failover or failback. */
function usePhase() {
  const { known } = useWords();
  return (name: string) => known('step', name) ?? known('phase', name) ?? known('rung', name) ?? name;
}

function Shown({ signed }: { signed: SignedReport }) {
  const { t, known, language, took } = useWords();
  const { report } = signed;
  const { content } = report;
  const subject = SUBJECTS[content.subject.kind];
  const phase = usePhase();
  const drilled = content.subject.kind === 'drill';
  return (
    <>
      <PageHead
        title={t('report.title', { number: report.number, group: content.group.name })}
        above={{ to: toGroup(content.group.name, 'reports'), name: content.group.name }}
        badges={
          <Badge tone={resultTone(content.result)}>{known('result', content.result) ?? content.result}</Badge>
        }
        actions={
          <>
            <FileButton path={`reports/${report.id}`} name={`${report.id}.json`} label={t('report.json')} />
            <FileButton
              path={`reports/${report.id}/html?lang=${language}`}
              name={`${report.id}.html`}
              label={t('report.html')}
            />
          </>
        }
      />
      <SignaturePanel signed={signed} />
      <Panel title={t('report.what')}>
        {content.reason && (
          <p>
            <Served>{content.reason}</Served>
          </p>
        )}
        <Figures content={content} />
        <Facts>
          <Fact name={t('reports.kind')}>
            {known('kind', content.subject.kind) ?? content.subject.kind} ·{' '}
            {subject ? (
              <Link to={subject(content.subject.id)}>{content.subject.id}</Link>
            ) : (
              content.subject.id
            )}
          </Fact>
          <Fact name={t('report.target')}>{content.subject.target ?? t('common.unknown')}</Fact>
          <Fact name={t('drill.point')}>
            {content.point ? (
              <>
                <span className="mono">{content.point.id}</span>{' '}
                {content.point.label && <span className="label-mark">{content.point.label}</span>}{' '}
                <Instant at={content.point.time} />
              </>
            ) : (
              <span className="quiet">{t('common.none')}</span>
            )}
          </Fact>
          <Fact name={t('failover.interrupted')}>
            {content.interruption ? <Instant at={content.interruption.at} /> : t('report.no_interruption')}
          </Fact>
          <Fact name={t('drill.requested')}>
            <Instant at={content.requested_at} />
          </Fact>
          <Fact name={t('drill.finished')}>
            <Instant at={content.finished_at} />
          </Fact>
          {content.panel && (
            <Fact name={content.panel.edition}>
              {content.panel.level === null
                ? t('report.level.none')
                : t('report.level', { level: content.panel.level, edition: content.panel.edition })}
              {content.panel.lowered.map((reason) => (
                <div className="quiet small" key={reason}>
                  {known('lowered', reason) ?? reason}
                </div>
              ))}
            </Fact>
          )}
        </Facts>
      </Panel>
      <div className="columns">
        {content.rungs.length > 0 && (
          <Panel title={t('ladder.title')}>
            <Table
              caption={t('ladder.title')}
              columns={[
                { name: t('ladder.rung') },
                { name: t('ladder.verdict') },
                { name: t('ladder.at'), number: true },
              ]}
            >
              {content.rungs.map((rung) => (
                <Row key={rung.name}>
                  <Cell>{known('rung', rung.name) ?? rung.name}</Cell>
                  <Cell>
                    <Badge tone={rungTone(rung.verdict)}>
                      {known('state.rungVerdict', rung.verdict) ?? rung.verdict}
                    </Badge>
                  </Cell>
                  <NumberCell>{rung.at_ms === null ? '' : took(rung.at_ms / 1000)}</NumberCell>
                </Row>
              ))}
            </Table>
          </Panel>
        )}
        <Panel title={t(drilled ? 'phases.title' : 'steps.title')}>
          <Table
            caption={t(drilled ? 'phases.title' : 'steps.title')}
            columns={[
              { name: t(drilled ? 'phases.phase' : 'steps.step') },
              { name: t('phases.took'), number: true },
            ]}
          >
            {content.phases.map((one) => (
              // A step may come twice, there and back.
              <Row key={`${one.name} ${one.began_ms}`}>
                <Cell>{drilled ? (known('phase', one.name) ?? one.name) : phase(one.name)}</Cell>
                <NumberCell>{took(one.duration_ms / 1000)}</NumberCell>
              </Row>
            ))}
          </Table>
        </Panel>
      </div>
      <Proof content={content} />
      <Panel title={t('report.timeline')}>
        <Table
          caption={t('report.timeline')}
          columns={[{ name: t('report.when') }, { name: t('report.event') }, { name: t('report.detail') }]}
        >
          {content.timeline.map((event, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a signed timeline does not move
            <Row key={index}>
              <Cell>
                <Instant at={event.at} />
              </Cell>
              <Cell>
                <Event what={event.what} />
              </Cell>
              <Cell className="observed">{event.detail && <Served>{event.detail}</Served>}</Cell>
            </Row>
          ))}
        </Table>
      </Panel>
    </>
  );
}

/** Words for an event; the report's own for one that this console never heard of. */
function Event({ what }: { what: string }) {
  const { known } = useWords();
  const phase = usePhase();
  const { kind, name } = eventParts(what);
  if (kind === 'phase') return phase(name);
  const words = kind === 'rung' ? known('rung', name) : known('report.event', name);
  return words ?? <Served>{what}</Served>;
}

/** A check of many has the part it belongs to before its name, as `cleanup:control socket`. */
function CheckName({ name }: { name: string }) {
  const { known } = useWords();
  const [, part, rest] = /^(\w+):(.+)$/.exec(name) ?? [];
  if (part && rest) {
    const words = known('report.check', part) ?? known('phase', part);
    if (words)
      return (
        <>
          {words}: <Served>{rest}</Served>
        </>
      );
  }
  return known('report.check', name) ?? <Served>{name}</Served>;
}

/** What was checked besides the rungs: who had authority, what was sent, and digests. */
function Proof({ content }: { content: ReportContent }) {
  const { t, known } = useWords();
  const { checks, generations, moved, images } = content;
  if (checks.length === 0 && generations.length === 0 && !moved && images.length === 0) return null;
  return (
    <Panel title={t('report.proof')}>
      {checks.length > 0 && (
        <Table
          caption={t('report.proof')}
          columns={[{ name: t('report.check') }, { name: t('ladder.verdict') }, { name: t('report.detail') }]}
        >
          {checks.map((check) => (
            <Row key={check.name}>
              <Cell>
                <CheckName name={check.name} />
              </Cell>
              <Cell>
                <Badge tone={rungTone(check.verdict)}>
                  {known('state.precheckVerdict', check.verdict) ??
                    known('state.rungVerdict', check.verdict) ??
                    check.verdict}
                </Badge>
              </Cell>
              <Cell className="observed">{check.detail && <Served>{check.detail}</Served>}</Cell>
            </Row>
          ))}
        </Table>
      )}
      <Facts>
        {moved && (
          <Fact name={t('report.moved')}>
            <Bytes value={moved.sent_bytes} /> / <Bytes value={moved.changed_bytes} />
          </Fact>
        )}
        {generations.map((one) => (
          <Fact key={one.generation} name={t('report.generation', { generation: one.generation })}>
            {known('site', one.authority) ?? one.authority} · <Instant at={one.at} />
          </Fact>
        ))}
        {images.map((image) => (
          <Fact
            key={image.volume}
            name={t('report.image', {
              volume: image.volume === 'all' ? t('report.image.all') : image.volume,
            })}
          >
            <Id value={image.digest} />
          </Fact>
        ))}
      </Facts>
    </Panel>
  );
}

function rungTone(verdict: string): Tone {
  if (verdict === 'passed') return 'good';
  if (verdict === 'failed') return 'bad';
  return verdict === 'not_run' ? 'plain' : 'unknown';
}

function Figures({ content }: { content: ReportContent }) {
  const { t, known, span } = useWords();
  const phase = usePhase();
  const { recovery_time, recovery_point } = content;
  const until = known('rung', recovery_time.until) ?? phase(recovery_time.until);
  const of = (ms: number | null | undefined) => (ms == null ? t('common.unknown') : span(ms / 1000));
  const figures = [
    ...recoveryTimes(content).map(({ start, ms }) => ({
      name: t(start === 'request' ? 'report.rto' : 'report.rto.interruption', { rung: until }),
      value: of(ms),
    })),
    { name: t('report.loss'), value: of(recovery_point.this_point_ms) },
    { name: t('reports.p95'), value: of(recovery_point.period?.p95_ms) },
    { name: t('reports.worst'), value: of(recovery_point.period?.worst_ms) },
    { name: t('report.blind'), value: of(recovery_point.period?.blind_ms) },
  ];
  return (
    <div className="figures">
      {figures.map(({ name, value }) => (
        <div className="figure" data-tone="plain" key={name}>
          <div className="figure-value number">{value}</div>
          <div className="figure-name">{name}</div>
        </div>
      ))}
    </div>
  );
}

const VERDICTS: Record<Verdict, Tone> = {
  signed: 'good',
  broken: 'bad',
  other_key: 'bad',
  unchecked: 'unknown',
};

function SignaturePanel({ signed }: { signed: SignedReport }) {
  const { t } = useWords();
  const key = useQuery(reportKey());
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const serverKey = key.data?.key;
  useEffect(() => {
    if (serverKey === undefined) return;
    let gone = false;
    void verify(signed, serverKey).then((found) => {
      if (!gone) setVerdict(found);
    });
    return () => {
      gone = true;
    };
  }, [signed, serverKey]);
  return (
    <Panel
      title={t('report.signature')}
      side={
        verdict ? (
          <Badge tone={VERDICTS[verdict]}>{t(`report.verdict.${verdict}`)}</Badge>
        ) : (
          <Badge tone="unknown">{t('report.checking')}</Badge>
        )
      }
    >
      <p className="quiet">{t('report.signature.what')}</p>
      <Facts>
        <Fact name={t('reports.number')}>
          <span className="number">{signed.report.number}</span>
        </Fact>
        <Fact name={t('report.previous')}>
          {signed.report.previous ? <Id value={signed.report.previous} /> : t('report.first')}
        </Fact>
        <Fact name={t('report.key')}>
          <Id value={signed.signature.key} />
        </Fact>
        <Fact name={t('report.made')}>
          <Instant at={signed.report.made_at} />
        </Fact>
        <Fact name={t('report.id')}>
          <Id value={signed.report.id} whole />
        </Fact>
      </Facts>
    </Panel>
  );
}
