/** What a drill kept: the machine's screen, its console, and the files, each with its digest. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { evidence } from '../../api/queries';
import type { Drill } from '../../api/types';
import { plainText } from '../../format/console';
import { Bytes } from '../../parts/Bytes';
import { Empty } from '../../parts/Empty';
import { FileButton } from '../../parts/FileButton';
import { Id } from '../../parts/Id';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

/** Made after the drill's own files were listed; each may be absent. */
const SCREEN = 'screenshot.png';
const CONSOLE = 'serial.log';
/** As much of a console as is read on a page; the file has all of it. */
const LINES = 400;

export function EvidencePanel({ drill }: { drill: Drill }) {
  const { t } = useWords();
  const has = (name: string) => drill.evidence.some((file) => file.name === name);
  if (drill.evidence.length === 0) {
    return (
      <Panel title={t('evidence.title')}>
        <Empty>{t(drill.finished_at ? 'evidence.none' : 'evidence.later')}</Empty>
      </Panel>
    );
  }
  return (
    <>
      <div className="columns">
        {has(SCREEN) && (
          <Panel title={t('evidence.screen')}>
            <Screen drill={drill.id} />
          </Panel>
        )}
        {has(CONSOLE) && (
          <Panel title={t('evidence.console')}>
            <ConsoleText drill={drill.id} />
          </Panel>
        )}
      </div>
      <Panel title={t('evidence.title')} side={<span className="quiet small">{t('evidence.digests')}</span>}>
        <Table
          caption={t('evidence.title')}
          columns={[
            { name: t('evidence.file') },
            { name: t('evidence.size'), number: true },
            { name: 'BLAKE3' },
            { name: t('points.do'), hidden: true },
          ]}
        >
          {drill.evidence.map((file) => (
            <Row key={file.name}>
              <Cell>{file.name}</Cell>
              <NumberCell>
                <Bytes value={file.bytes} />
              </NumberCell>
              <Cell>
                <Id value={file.blake3} />
              </Cell>
              <Cell>
                <FileButton
                  path={`drills/${encodeURIComponent(drill.id)}/evidence/${encodeURIComponent(file.name)}`}
                  name={`${drill.id}-${file.name}`}
                  label={t('common.download')}
                />
              </Cell>
            </Row>
          ))}
        </Table>
      </Panel>
    </>
  );
}

function Screen({ drill }: { drill: string }) {
  const { t } = useWords();
  const query = useQuery(evidence(drill, SCREEN));
  return (
    <Live query={query} polled={false}>
      {(blob) => <Picture blob={blob} label={t('evidence.screen.label')} />}
    </Live>
  );
}

function Picture({ blob, label }: { blob: Blob; label: string }) {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    // The type is set here: what the server calls it must not decide how it is read.
    const made = URL.createObjectURL(new Blob([blob], { type: 'image/png' }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return address ? <img className="screen" src={address} alt={label} /> : null;
}

function ConsoleText({ drill }: { drill: string }) {
  const { t } = useWords();
  const query = useQuery(evidence(drill, CONSOLE));
  return (
    <Live query={query} polled={false}>
      {(blob) => <Lines blob={blob} label={t('evidence.console')} />}
    </Live>
  );
}

function Lines({ blob, label }: { blob: Blob; label: string }) {
  const { t } = useWords();
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    void blob.text().then((read) => {
      if (!gone) setText(plainText(read));
    });
    return () => {
      gone = true;
    };
  }, [blob]);
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The end of a console is what tells how a boot went.
    if (text !== null && holder.current) holder.current.scrollTop = holder.current.scrollHeight;
  }, [text]);
  if (text === null) return null;
  const lines = text.trimEnd().split('\n');
  return (
    <>
      {lines.length > LINES && (
        <p className="quiet small">{t('evidence.tail', { shown: LINES, all: lines.length })}</p>
      )}
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <div ref={holder} role="group" className="console-box" tabIndex={0} aria-label={label}>
        <pre className="console">{lines.slice(-LINES).join('\n')}</pre>
      </div>
    </>
  );
}
