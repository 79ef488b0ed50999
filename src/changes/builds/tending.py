"""What the queue needs now and then: how long steps take, and a knock for what a ring got lost of."""

from datetime import timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from changes.builds import health, lanes
from changes.builds.models import JobStep
from changes.builds.rules import Status

# From so many of the newest steps it is learned how long those of each lane take.
NEWEST = 5_000
OF_EACH_LANE = 20
# A step that waits for so long while agents wait too may have been overlooked: some of them look.
OVERLOOKED_AFTER_S = 10
LOOK_AT_ONCE = 8
QUIET_S = 60

MEASURE = text("""
    with newest as (
        select lane_id, id, extract(epoch from date_finished - date_started) as took_s
        from (select * from job_step order by id desc limit :newest) step
        where status = 3 and result in (1, 2) and lane_id is not null
            and date_started is not null and date_finished >= date_started
    ), numbered as (
        select *, row_number() over (partition by lane_id order by id desc) as number from newest
    ), measured as (
        select lane_id, avg(took_s) as typical_s, coalesce(stddev_samp(took_s), avg(took_s)) as deviation_s
        from numbered where number <= :each group by lane_id
    )
    update lane set typical_s = measured.typical_s, deviation_s = measured.deviation_s
    from measured where lane.id = measured.lane_id
        and (lane.typical_s, lane.deviation_s) is distinct from (measured.typical_s, measured.deviation_s)
""")

# A lane leaves those that hand-outs look at a minute after nothing waited in it: whoever entered it meanwhile
# and had seen it there has committed by then, or is found here at the next look.
TEND_LANES = text("""
    with recursive waiting as (
        (
            select lane_id from job_step where status = 6 and lane_id is not null order by lane_id limit 1
        )
        union all
        select following.* from waiting cross join lateral (
            select lane_id from job_step
            where status = 6 and lane_id > waiting.lane_id order by lane_id limit 1
        ) following
    ), gone as (
        delete from busy_lane where date_quiet < statement_timestamp() - make_interval(secs => :quiet_s)
    ), quiet as (
        update busy_lane set date_quiet = statement_timestamp()
        where date_quiet is null and lane_id not in (select lane_id from waiting)
    )
    insert into busy_lane (lane_id)
    select lane_id from waiting where not exists (
        select from busy_lane where busy_lane.lane_id = waiting.lane_id and busy_lane.date_quiet is null
    )
""")


def tend_lanes(session: Session, *, quiet_s: int = QUIET_S) -> None:
    session.execute(TEND_LANES, {"quiet_s": quiet_s})


def measure_lanes(session: Session) -> None:
    session.execute(MEASURE, {"newest": NEWEST, "each": OF_EACH_LANE})


def tend(session: Session) -> None:
    tend_lanes(session)
    measure_lanes(session)
    health.lift_quarantines(session)
    knock(session)


def knock(session: Session) -> None:
    """Limits change, quarantines end, notices get lost with a web server: silence is swept here too."""
    before = func.now() - timedelta(seconds=OVERLOOKED_AFTER_S)
    waiting = select(JobStep.id).where(
        JobStep.status == Status.PENDING_ALLOCATION, JobStep.lane_id.is_not(None)
    )
    found = session.execute(waiting.where(JobStep.date_pending < before).limit(LOOK_AT_ONCE)).all()
    lanes.knock(session, len(found))
