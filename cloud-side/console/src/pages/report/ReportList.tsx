/** Signed reports, newest first, and how recovery times and recovery points went over them. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { reports, trend } from '../../api/queries';
import { Empty } from '../../parts/Empty';
import { FileButton } from '../../parts/FileButton';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { Plot } from '../../parts/Plot';
import { toGroup, toReport } from '../../parts/paths';
import { Badge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { useTimes } from '../../parts/times';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';
import { type TrendRow, trendRows } from './document';
import { resultTone } from './results';

export function ReportList({ group }: { group?: string }) {
  const { t, language, known, span } = useWords();
  const pages = usePages();
  const query = useQuery(reports(group, pages.cursor));
  const length = (ms: number | null | undefined) =>
    ms == null ? <span className="quiet">{t('common.unknown')}</span> : span(ms / 1000);
  return (
    <>
      <Trend group={group} />
      <Panel
        title={t('reports.title')}
        side={
          group && (
            <FileButton
              path={`groups/${encodeURIComponent(group)}/runbook?lang=${language}`}
              name={`runbook-${group}.html`}
              label={t('reports.runbook')}
            />
          )
        }
      >
        <Live query={query}>
          {({ items, next_cursor }) =>
            items.length === 0 ? (
              <Empty>{t('reports.none')}</Empty>
            ) : (
              <>
                <Table
                  caption={t('reports.title')}
                  columns={[
                    { name: t('reports.number'), number: true },
                    { name: t('reports.made') },
                    ...(group ? [] : [{ name: t('common.group') }]),
                    { name: t('reports.kind') },
                    { name: t('reports.result') },
                    { name: t('reports.rto'), number: true },
                    { name: t('reports.worst'), number: true },
                    { name: t('reports.p95'), number: true },
                    { name: t('reports.level'), number: true },
                    { name: t('reports.digest') },
                  ]}
                >
                  {items.map((report) => (
                    <Row key={report.id}>
                      <NumberCell>{report.number}</NumberCell>
                      <Cell>
                        <Link to={toReport(report.id)}>
                          <Instant at={report.made_at} />
                        </Link>
                      </Cell>
                      {!group && (
                        <Cell>
                          <Link to={toGroup(report.group_name)}>{report.group_name}</Link>
                        </Cell>
                      )}
                      <Cell>
                        {known('kind', report.kind) ?? report.kind}
                        {report.interim && <div className="quiet small">{t('reports.interim')}</div>}
                      </Cell>
                      <Cell>
                        <Badge tone={resultTone(report.result)}>
                          {known('result', report.result) ?? report.result}
                        </Badge>
                      </Cell>
                      <NumberCell>{length(report.rto_ms)}</NumberCell>
                      <NumberCell>{length(report.rpo_worst_ms)}</NumberCell>
                      <NumberCell>{length(report.rpo_p95_ms)}</NumberCell>
                      <NumberCell>{report.level ?? <span className="quiet">–</span>}</NumberCell>
                      <Cell>
                        <Id value={report.digest} />
                      </Cell>
                    </Row>
                  ))}
                </Table>
                <Pager pages={pages} next={next_cursor} />
              </>
            )
          }
        </Live>
      </Panel>
    </>
  );
}

/** Of drills alone, oldest first. One is no trend. */
function Trend({ group }: { group?: string }) {
  const { t, span, language } = useWords();
  const { clockDay } = useTimes();
  const query = useQuery(trend(group));
  const rows = trendRows(query.data);
  if (rows.length < 2) return null;
  const at = rows.map((row) => Date.parse(row.requested_at) / 1000);
  const line = (pick: (row: TrendRow) => number | null) =>
    rows.map((row) => {
      const ms = pick(row);
      return ms == null ? null : ms / 1000;
    });
  return (
    <Panel
      title={t('reports.trend')}
      side={
        <FileButton
          path={`reports/trend/html?lang=${language}${group ? `&group=${encodeURIComponent(group)}` : ''}`}
          name={`trend${group ? `-${group}` : ''}.html`}
          label={t('report.html')}
        />
      }
    >
      <div className="plots">
        <figure>
          <figcaption>{t('reports.rto')}</figcaption>
          <Plot
            label={t('reports.rto')}
            at={at}
            values={line((report) => report.rto_ms)}
            format={span}
            clock={clockDay}
            bars
          />
        </figure>
        <figure>
          <figcaption>{t('reports.p95')}</figcaption>
          <Plot
            label={t('reports.p95')}
            at={at}
            values={line((report) => report.rpo_p95_ms)}
            format={span}
            clock={clockDay}
            bars
          />
        </figure>
        <figure>
          <figcaption>{t('reports.worst')}</figcaption>
          <Plot
            label={t('reports.worst')}
            at={at}
            values={line((report) => report.rpo_worst_ms)}
            format={span}
            clock={clockDay}
            bars
          />
        </figure>
      </div>
    </Panel>
  );
}
