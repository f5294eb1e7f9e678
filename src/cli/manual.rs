//! `bcdr man`: manual pages, made from the commands themselves.
//!
//! A page for each command that is not hidden, named as its words with `-` between them. Examples keep
//! their lines.

use super::{Failure, exit, global::GlobalArguments};
use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(
    long_about = "Print the manual page of bcdr, or write the pages of all commands to a directory.",
    after_help = "Examples:\n  bcdr man | man -l -\n  bcdr man --directory /usr/local/share/man/man1"
)]
pub(super) struct Arguments {
    /// Write the pages of all commands to this directory, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A page, and the name of its file.
struct Page {
    file: String,
    text: Vec<u8>,
}

impl Arguments {
    pub(super) fn run(&self, global: &GlobalArguments, program: Command) -> Result<(), Failure> {
        let cannot = |error: io::Error| Failure::error("cannot make the pages").cause(error);
        let pages = pages(program).map_err(cannot)?;
        let Some(directory) = &self.directory else {
            let first = pages.first().map_or(&[][..], |page| &page.text);
            let text = String::from_utf8_lossy(first);
            return global.output().write(&text).map(drop);
        };
        let cannot = |error: io::Error| {
            Failure::error(format!("cannot write the pages to {}", directory.display()))
                .cause(error)
                .remedy("name a directory that you may write to")
        };
        fs::create_dir_all(directory).map_err(cannot)?;
        for page in &pages {
            fs::write(directory.join(&page.file), &page.text).map_err(cannot)?;
        }
        let (count, directory) = (pages.len(), directory.display());
        global.tell(&format!("{count} pages are in {directory}"));
        Ok(())
    }
}

/// The pages, that of the program first.
fn pages(program: Command) -> io::Result<Vec<Page>> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add(&program, None, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, above: Option<&str>, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let name = name.to_owned();
    pages.push(Page {
        file: format!("{name}.1"),
        text: page(command, above)?,
    });
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        add(below, Some(&name), pages)?;
    }
    Ok(())
}

fn page(command: &Command, above: Option<&str>) -> io::Result<Vec<u8>> {
    // Without any date the parts behind it would take its place.
    let man = Man::new(command.clone())
        .date(" ")
        .source(concat!("bcdr ", env!("CARGO_PKG_VERSION")))
        .manual("BCDR Gateway");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut end = Roff::new();
    examples(command, &mut end);
    exit_codes(&mut end);
    if let Some(above) = above {
        end.control("SH", ["SEE ALSO"]);
        end.text([bold(above), roman("(1)")]);
    }
    text.write_all(end.to_roff().as_bytes())?;
    Ok(text)
}

/// What is said behind the help, in its own lines.
fn examples(command: &Command, page: &mut Roff) {
    let Some(after) = command.get_after_help() else {
        return;
    };
    let after = after.to_string();
    let lines = after.lines().skip_while(|line| is_title(line));
    page.control("SH", ["EXAMPLES"]);
    page.control("nf", []);
    for line in lines {
        match line.is_empty() {
            true => page.control("sp", []),
            false => page.text([roman(line)]),
        };
    }
    page.control("fi", []);
}

fn is_title(line: &str) -> bool {
    line.starts_with("Example")
}

fn exit_codes(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit::MEANINGS {
        page.control("TP", []);
        page.text([bold(code.to_string())]);
        page.text([roman(meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;
    use std::process::Command as Process;

    fn named(name: &str) -> String {
        let pages = pages(Cli::command()).unwrap();
        let page = pages.into_iter().find(|page| page.file == name).unwrap();
        String::from_utf8(page.text).unwrap()
    }

    #[test]
    fn every_command_that_is_shown_has_a_page_with_its_examples() {
        let pages = pages(Cli::command()).unwrap();
        assert_eq!(pages[0].file, "bcdr.1");
        let mut files: Vec<_> = pages.iter().map(|page| page.file.as_str()).collect();
        for file in ["bcdr-group-samples.1", "bcdr-plan-run-show.1", "bcdr-man.1"] {
            assert!(files.contains(&file), "{file}");
        }
        assert!(!files.contains(&"bcdr-lab-supervise.1"));
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), pages.len());
        let page = named("bcdr-group-samples.1");
        let example =
            ".SH EXAMPLES\n.nf\n  bcdr group samples lab\n  bcdr group samples lab \\-\\-from";
        assert!(page.contains(example), "{page}");
        assert!(page.contains("not authenticated"), "{page}");
        assert!(page.contains("BCDR_CONTEXT"), "{page}");
        assert!(page.contains("bcdr\\-group"), "{page}");
    }

    #[test]
    fn the_pages_render_without_a_warning() {
        if Process::new("groff").arg("--version").output().is_err() {
            // Their structure is tested above; a formatter is not everywhere.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let pages = pages(Cli::command()).unwrap();
        for page in &pages {
            fs::write(directory.path().join(&page.file), &page.text).unwrap();
        }
        let rendered = Process::new("groff")
            .args(["-man", "-Kutf8", "-Tutf8", "-ww"])
            .args(pages.iter().map(|page| &page.file))
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success() && said.is_empty(), "{said}");
        let text = String::from_utf8_lossy(&rendered.stdout);
        assert!(text.contains("  bcdr group samples lab"), "{text}");
    }
}
