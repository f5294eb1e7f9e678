/** The signed document of a report, as docs/format/report.md draws it: what of it this console shows. */

export interface SignedReport {
  report: {
    id: string;
    installation: string;
    number: number;
    previous: string | null;
    made_at: string;
    report_version: number;
    content: ReportContent;
  };
  signature: { algorithm: string; key: string; value: string };
}

export interface ReportContent {
  subject: { kind: string; id: string; target: string | null };
  group: { id: string; name: string };
  point: { id: string; label: string | null; time: string | null; covers_until: string | null } | null;
  result: string;
  reason: string | null;
  interruption: { at: string; by: string; note: string | null } | null;
  requested_at: string;
  finished_at: string;
  timeline: { at: string; what: string; detail: string | null }[];
  phases: { name: string; outcome: string; began_ms: number; duration_ms: number; detail: string | null }[];
  recovery_time: { until: string; from_interruption_ms: number | null; from_request_ms: number | null };
  recovery_point: {
    this_point_ms: number | null;
    period: {
      from: string;
      to: string;
      worst_ms: number | null;
      p95_ms: number | null;
      blind_ms: number;
    } | null;
  };
  rungs: {
    name: string;
    verdict: string;
    at_ms: number | null;
    reason: string | null;
    observed: string | null;
  }[];
  checks: { name: string; verdict: string; detail: string | null }[];
  generations: { generation: number; at: string; authority: string; cause: string }[];
  moved: { sent_bytes: number; changed_bytes: number } | null;
  images: { volume: string; digest: string }[];
  serial: { file: string; lines: string[] } | null;
  evidence: { name: string; bytes: number; blake3: string }[];
  panel: { edition: string; replaced_by: string | null; level: number | null; lowered: string[] } | null;
}

/** The document, or null for a text that is none. */
export function readReport(text: string): SignedReport | null {
  try {
    const read = JSON.parse(text) as SignedReport;
    return typeof read.report?.number === 'number' && typeof read.signature?.value === 'string' ? read : null;
  } catch {
    return null;
  }
}

/** A drill of the trend, as `GET /reports/trend` tells it. The document calls it an object only. */
export interface TrendRow {
  report: string;
  number: number;
  requested_at: string;
  result: string;
  rto_ms: number | null;
  rpo_worst_ms: number | null;
  rpo_p95_ms: number | null;
}

/** The rows of a trend; none for an answer that is none. */
export function trendRows(answer: unknown): TrendRow[] {
  const rows = (answer as { rows?: unknown } | null)?.rows;
  if (!Array.isArray(rows)) return [];
  return rows.filter(
    (row): row is TrendRow => typeof row?.number === 'number' && typeof row?.requested_at === 'string',
  );
}

/** What an event of a report's timeline is about: `phase:fence` is the phase `fence`. */
export function eventParts(what: string): { kind: 'phase' | 'rung' | null; name: string } {
  const found = /^(phase|rung):(.+)$/.exec(what);
  return found?.[2] ? { kind: found[1] as 'phase' | 'rung', name: found[2] } : { kind: null, name: what };
}

/** The times that count in a report: from the interruption where one was entered, and from the request. */
export function recoveryTimes({
  recovery_time,
  interruption,
}: Pick<ReportContent, 'recovery_time' | 'interruption'>) {
  const from = (start: 'interruption' | 'request', ms: number | null) => ({ start, ms });
  const request = from('request', recovery_time.from_request_ms);
  return interruption ? [from('interruption', recovery_time.from_interruption_ms), request] : [request];
}
