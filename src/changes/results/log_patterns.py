"""Which lines of a log tell what went wrong: of the common tools, and of words that all of them use. Pure.

A pattern sees one line, without colours, in the syntax of RE2, which needs linear time whatever is looked
for in whatever text. `rank` says how much a line explains: a crash more than a line of a compiler, that
more than a bare "error", and least of all what only follows from another (`make: *** Error 2`).
"""

from dataclasses import dataclass
from functools import partial

from changes.results.log_error_models import Severity

CRASH, CAUSE, RAISED, TEST, SAID, BARE, OUTCOME = 95, 80, 72, 68, 55, 45, 30
# Up to here a line is believed only as far as nothing harmless explains its words.
DOUBTED = SAID
# Of mere words that say so, without a tool that is known for them.
WEAKEST = 26
# Of a pattern of a project that says which lines tell of nothing.
IGNORED = 0


@dataclass(frozen=True)
class Pattern:
    name: str
    regex: str
    rank: int
    severity: Severity = Severity.ERROR


fatal = partial(Pattern, severity=Severity.FATAL, rank=CRASH)
cause = partial(Pattern, rank=CAUSE)
raised = partial(Pattern, rank=RAISED)
test = partial(Pattern, rank=TEST)
said = partial(Pattern, rank=SAID)
outcome = partial(Pattern, rank=OUTCOME)

# What others write before each line: a time, the name of a service, what Bazel and cargo call things.
LEAD = r"^(?:\[?\d[\d:.,TZ/ +-]{6,}\]?\s+)?(?:[\w.-]+\s*\| )?\s{0,8}"

CRASHES = (
    fatal(
        "out of memory",
        r"(?i)\bout of memory\b|cannot allocate memory|\boom[- ]?kill|virtual memory exhausted"
        r"|std::bad_alloc"
        r"|java\.lang\.OutOfMemoryError|^MemoryError\b|fatal error: Killed signal"
        r"|: Killed signal terminated",
    ),
    fatal(
        "disk full",
        r"(?i)no space left on device|disk quota exceeded|\bENOSPC\b|not enough space on the disk",
    ),
    fatal(
        "crash",
        r"(?i)segmentation fault|\bSIG(?:SEGV|BUS|ILL|ABRT|FPE)\b|\bbus error\b|illegal instruction"
        r"|core dumped|stack smashing detected|double free or corruption|free\(\): invalid|malloc\(\): "
        r"|terminate called (?:after|without)|fatal python error|floating point exception"
        r"|fatal error has been detected by the java runtime",
    ),
    fatal(
        "sanitizer",
        r"\b(?:ERROR|WARNING): (?:\w+Sanitizer): |:\d+:\d+: runtime error: "
        r"|WARNING: DATA RACE$",
    ),
    fatal(
        "valgrind",
        r"^==\d+== (?:Invalid (?:read|write|free)|Conditional jump or move depends on|Process terminating)",
    ),
    fatal("killed", r"^(?:.+: line \d+:\s+\d+ )?(?:Killed|Aborted)\b(?:\s|$)", rank=CRASH - 3),
    fatal(
        "Go panic",
        r"^panic: |^fatal error: (?:all goroutines|concurrent|stack overflow|unexpected signal|runtime)",
    ),
    fatal("Rust panic", r"^thread '.*' (?:\(\d+\) )?panicked at ", rank=CRASH - 5),
    cause("assertion", r"(?i): assertion .* failed|^assertion failed", severity=Severity.FATAL),
)

COMPILERS = (
    # gcc, clang, javac, swiftc, ghc, mypy, nasm and many more say: place, a word, what is wrong.
    cause(
        "compiler",
        LEAD
        + r"(?:\[\w+\] )?(?:[A-Za-z]:)?[^\s:][^:]*:\d+(?::\d+)?:\s+(?:fatal |internal compiler )?error\b",
    ),
    cause(
        "linker",
        r"undefined reference to |undefined symbols? for |\bld(?:\.\w+)?: (?:cannot find"
        r"|library not found|symbol)"
        r"|multiple definition of |undefined symbol: |relocation truncated to fit",
    ),
    outcome(
        "linker", r"^(?:collect2|clang(?:\+\+)?): (?:fatal )?error: (?:ld returned|linker command failed)"
    ),
    cause(
        "compiler",
        r"^(?:cc1\w*|gcc|g\+\+|c\+\+|clang|clang\+\+|rustc|javac|ghc|swiftc|nasm|as): (?:fatal )?error: ",
    ),
    cause("rustc", LEAD + r"error\[E\d{4}\]: "),
    outcome("cargo", r"^error: (?:could not compile|aborting due to|test failed|\d+ targets? failed)"),
    cause("go", r"^(?:vet: )?(?:\./)?[\w./@+-]+\.go:\d+:\d+: "),
    cause(
        "go",
        r"^go: (?:errors? |\S+@\S+: |cannot find |no required module)"
        r"|^[\w./-]+\.go:\d+:\d+: cannot find package",
    ),
    cause("kotlinc", r"^e: (?:file://)?\S+\.kts?:"),
    cause("javac", r"^\[ERROR\] \S+\.(?:java|kt|scala|groovy):\[\d+,\d+\]|^\[error\] \S+\.scala:\d+"),
    cause("tsc", r"\berror TS\d{3,5}: "),
    cause("msvc", r"\b(?:fatal )?error (?:C|CS|BC|FS|LNK|MSB|NU|NETSDK|RC|CA|D)\d{3,5}\s?: "),
    cause(
        "eslint",
        r"^\s{1,8}\d+:\d+\s+error\s+\S",
    ),
    cause(
        "linter",
        r"^[\w./@+-]+\.\w{1,6}:\d+:\d+: [A-Z]{1,4}\d{2,5}\b",
    ),
    cause(
        "syntax",
        r"^(?:PHP )?(?:Parse error: |Fatal error: )|: syntax error(?: near|,|:|$)"
        r"|^\s*SyntaxError: ",
    ),
    cause("protoc", r"^[\w./-]+\.proto:\d+:\d+: "),
)

RAISED_BY_PROGRAMS = (
    raised(
        "exception",
        LEAD + r"(?:Uncaught |Unhandled exception\. |Exception in thread \"[^\"]*\" )?"
        r"(?:[A-Za-z_][\w$]*[.:]{1,2})*[A-Z]\w*(?:Error|Exception|Failure)(?: \[\w+\])?(?::\s|$)",
    ),
    raised("exception", r"^\s*Caused by: [\w.$]+", rank=RAISED + 2),
    raised("Ruby", r"\.rb:\d+:in .+\((?:\w+::)*\w+(?:Error|Exception)\)"),
    raised("Perl", r" at \S+ line \d+\.$", rank=SAID + 3),
    raised("Elixir", r"^\*\* \((?:\w+\.)*\w+(?:Error)?\) "),
)

TESTS = (
    test("pytest", r"^(?:FAILED|ERROR) [\w./\\-]+(?:::\S.*)?(?: - |$)", rank=TEST + 3),
    test("pytest", r"^E {3,12}(?:assert\b|.*(?:Error|Exception|Failed)\b)"),
    test("unittest", r"^(?:FAIL|ERROR): \w+ \("),
    outcome("unittest", r"^FAILED \((?:failures|errors|unexpected)"),
    test("cargo test", r"^test \S+ \.\.\. FAILED$"),
    outcome("cargo test", r"^test result: FAILED\."),
    test("go test", r"^\s*--- FAIL: "),
    outcome("go test", r"^FAIL\t\S"),
    test("jest", r"^\s{1,4}● .+$"),
    outcome("jest", r"^\s?FAIL\s{1,4}\S+\.(?:[cm]?[jt]sx?|vue)\b"),
    outcome("mocha", r"^\s{1,4}\d+ failing$"),
    test("JUnit", r"<<< (?:FAILURE|ERROR)!|^\[ERROR\]\s{1,5}[\w.$]+\.\w+:\d+"),
    outcome("JUnit", r"Tests run: \d+, .*(?:Failures|Errors): [1-9]"),
    test("gradle", r"^\S.* > .+ FAILED$"),
    test(
        "ctest",
        r"\*\*\*(?:Failed|Exception|Timeout|Not Run)\b|^\s{1,8}\d+ - .+ \((?:Failed|SEGFAULT|Timeout"
        r"|Not Run)\)$",
    ),
    test("googletest", r"^\[  FAILED  \] |^\S+:\d+: Failure$"),
    test("TAP", r"^\s{0,8}not ok \d"),
    test("RSpec", r"^rspec \./\S"),
    test("Bazel", r"^(?:FAIL|TIMEOUT|FAILED TO BUILD): //|^//\S+\s+(?:FAILED|TIMEOUT|NO STATUS)\b"),
)

TOOLS = (
    cause(
        "make",
        r"\bmake(?:\[\d+\])?: \*\*\* No rule to make target|: \*\*\* (?:missing separator"
        r"|commands commence|recipe commences)",
    ),
    outcome("make", r"\bg?make(?:\[\d+\])?: \*\*\* "),
    cause("ninja", r"^ninja: (?:error|fatal): "),
    outcome("ninja", r"^ninja: build stopped|^FAILED: (?:\[code=\d+\] )?\S"),
    cause("CMake", r"^CMake Error(?: at |: | \()"),
    cause(
        "meson",
        r"^(?:\S+:\d+:\d+: )?ERROR: [^f].+(?:not found|does not exist|failed)|^meson\.build:\d+:\d+: ERROR: ",
    ),
    cause("Bazel", r"^ERROR: \S+:\d+:\d+: "),
    cause(
        "npm",
        r"^npm (?:ERR!|error) (?:code|errno|404|notarget|Missing script|.*ERESOLVE|Could not resolve"
        r"|peer )",
    ),
    outcome(
        "npm",
        r"^npm (?:ERR!|error) (?:code ELIFECYCLE|Lifecycle|Test failed|A complete log|.*lifecycle)"
        r"|\bELIFECYCLE\b",
    ),
    said("npm", r"^npm (?:ERR!|error) \S"),
    cause(
        "yarn",
        r"^error (?:An unexpected error|Couldn't find|Received|.+incompatible)"
        r"|^➤ YN\d{4}: .*(?:Error|failed|couldn't)",
    ),
    outcome("yarn", r"^error Command failed"),
    cause("pnpm", r"\bERR_PNPM_\w+"),
    cause(
        "pip",
        r"^(?:\s*\x{D7} |ERROR: (?:Could not|No matching|Cannot install|Failed building|Failed to build"
        r"|Package |ResolutionImpossible"
        r"|Command errored|THESE PACKAGES|Invalid requirement|Hash|Exception))",
    ),
    cause(
        "uv",
        r"^error: (?:Failed to|Request failed|No solution|Distribution not found|The lockfile"
        r"|Because )|No solution found when resolving",
    ),
    cause(
        "Maven",
        r"^\[(?:ERROR|FATAL)\] (?:Failed to execute goal|Non-resolvable|Could not (?:find|resolve)"
        r"|Unknown lifecycle|The build could not)",
        rank=CAUSE - 15,
    ),
    cause(
        "Gradle",
        r"^(?:\* What went wrong:|> (?:Could not|Cannot|A problem|Compilation failed"
        r"|There were failing))|^Execution failed for task ",
        rank=CAUSE - 15,
    ),
    outcome(
        "Gradle",
        r"^> Task \S+ FAILED$|^FAILURE: Build failed|^BUILD FAILED|^\[(?:ERROR|INFO)\] BUILD FAILURE",
    ),
    # Of a command that failed within, what that has said says more.
    outcome("containers", r"^(?:ERROR: )?failed to solve: process "),
    cause(
        "containers",
        r"^(?:ERROR: )?failed to (?:solve(?:$|:? [^p]|:? p[^r])|build|pull|compute cache key)"
        r"|^Error response from daemon: |manifest (?:unknown|for \S+ not found)"
        r"|pull access denied|toomanyrequests: |^Error: (?:creating|building|initializing"
        r"|unable to (?:pull|copy)|short-name|crun|runc|statfs)",
    ),
    cause(
        "git",
        r"^fatal: \S|^error: (?:patch failed|pathspec |failed to push|Your local changes"
        r"|cannot lock ref|RPC failed|unable to )|^CONFLICT \(",
    ),
    cause("hg", r"^abort: \S"),
    cause("apt", r"^E: \S|^dpkg: (?:error|dependency problems)|have unmet dependencies"),
    cause(
        "dnf",
        r"^Error: (?:Unable to find a match|Failed to download|Transaction test error"
        r"|GPG check FAILED)|^No match for argument: ",
    ),
    cause("Terraform", r"^\W{0,3}Error: (?:Unsupported|Invalid|Missing|Reference|creating|reading)"),
    cause("Ansible", r"^fatal: \[\S+\]: (?:FAILED|UNREACHABLE)!"),
    cause(
        "command not found",
        r":\s(?:\S+: )?(?:command )?not found$|: not found$|^env: .+: No such file|bad interpreter: "
        r"|: cannot execute(?: |:|$)",
    ),
    cause(
        "permission denied",
        r"(?i): permission denied\b|\bEACCES\b"
        r"|operation not permitted$",
        rank=CAUSE - 12,
    ),
    cause(
        "no such file",
        r": (?:No such file or directory|Is a directory|Not a directory|File exists)$|\bENOENT\b",
        rank=CAUSE - 18,
    ),
    cause(
        "shell",
        r": (?:unbound variable|parameter (?:not set|null or not set)|bad substitution"
        r"|ambiguous redirect)$",
    ),
    cause(
        "network",
        r"(?i)could not resolve host|temporary failure (?:in name resolution|resolving)"
        r"|name or service not known"
        r"|connection (?:refused|reset by peer|timed out|aborted)|network is unreachable|no route to host"
        r"|host key verification failed|permission denied \(publickey|certificate verify failed"
        r"|certificate has expired"
        r"|tls handshake timeout|\b(?:ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN"
        r"|EHOSTUNREACH)\b|i/o timeout"
        r"|^curl: \(\d+\)|: ERROR 5\d\d: |\b(?:502 Bad Gateway|503 Service Unavailable"
        r"|504 Gateway Time-?out|429 Too Many Requests)\b",
        rank=CAUSE - 4,
    ),
    cause(
        "timeout",
        r"(?i)\btimed out after\b|context deadline exceeded|\bTimeoutExpired\b|test timed out",
        rank=CAUSE - 8,
    ),
    cause("told as an error", r"^(?:##\[error\]|::error[ :])", rank=CAUSE - 14),
)

WORDS = (
    said(
        "error",
        LEAD + r"(?:[\w./-]+: )?(?i:(?:fatal |internal |unrecoverable )?error)(?:\[\w+\]|\(\w+\))?: \S",
    ),
    said(
        "error",
        LEAD + r"(?:\S+\s+)?[\[<(]?(?:ERROR|FATAL|CRITICAL|SEVERE|EMERG|error|fatal)[\])>][:\s]",
        rank=SAID - 3,
    ),
    Pattern("error", r"\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b", BARE),
    Pattern(
        "error",
        r"(?i)\bfailed (?:to|with|because)\b|\b(?:could not|couldn't|cannot|can't|unable to) \w"
        r"|^failed: |: failed$",
        BARE - 3,
    ),
    Pattern(
        "failed",
        r"\bFAILED\b|(?i:\b(?:build|compilation|tests?|checks?|job|task|step|command|script"
        r"|hook)(?: \S+)? failed\b)",
        WEAKEST + 2,
    ),
    Pattern(
        "exit code",
        r"(?i)\b(?:exit(?:ed)?|return(?:ed)?|completed|died|finished)\b.*\b(?:code|status"
        r"|exit)\b:? ?-?[1-9]|\bexit status [1-9]"
        r"|returned non-zero|non-zero exit|: recipe for target .+ failed$",
        WEAKEST,
    ),
)

BUILT_IN: tuple[Pattern, ...] = (*CRASHES, *COMPILERS, *RAISED_BY_PROGRAMS, *TESTS, *TOOLS, *WORDS)

# Taken out of a line before its mere words are believed: they stand for nothing that went wrong.
HARMLESS = (
    r"(?i)\b(?:0|no|zero|any|without(?: any)?) (?:new )?(?:errors?|failures?|failed|fatal)\b",
    r"(?i)\b(?:errors?|fail(?:ed|ures?)?|failing)\s*[:=]\s*0\b",
    # Names of files, flags, variables and functions.
    r"(?i)[\w./@+-]*(?:error|fail|fatal|exception|critical)[\w-]*\.[a-z]\w{0,8}\b",
    r"(?i)(?:^|\s)--?[\w-]*(?:error|fail)[\w=,-]*",
    r"(?i)\b\w*(?:error|fail)\w*[_-]\w+|\b\w+[_-](?:errors?|fail(?:s|ed|ures?)?)\b|\b\w*errors?\w*\(",
    r"(?i)(?:[\w-]+/)+[\w-]*(?:error|fail)[\w-]*",
)
# A line like this says that all is well, repeats what is about to be run, or is our own.
ALL_IS_WELL = (
    r"(?i)\bPASS(?:ED)?\b|\.\.\. ok$|\bok$|^ok \d|^\s*[✓✔√]|^\s*--- PASS",
    r"(?i)\(ignored\)|\bnon-fatal\b|\bxfail(?:ed)?\b|\bexpected (?:error|failure)\b",
    # Commands that are told before they run; what Maven says below every error.
    r"^>\s+[a-z@]|^\[ERROR\]\s*$|^\[ERROR\] (?:\[Help|Re-run|To see|For more|After correcting)",
    r": [|>]-?$",
    r"^\[(?:passed in|exit code|stopped after|timed out after|killed|not needed|not started)",
    r"(?i)^\s*(?:at |#\d+ |from )\S",
    r"(?i)\bwarning: |^W: |\bWARN(?:ING)?\b|^\s*(?:note|help|hint|info|debug): |\b(?:INFO|DEBUG|TRACE)\b",
    r"(?i)\bretry|\bcollecting\b|\bcompiling\b|\bdownloading\b|\binstalling\b|\bbuilding \b",
)
