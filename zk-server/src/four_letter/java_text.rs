//! Numbers and dates as Java prints them.

/// A mean in ten-thousandths as `Double.toString` prints it.
pub(super) fn double(ten_thousandths: u64) -> String {
    match ten_thousandths {
        // Below a thousandth Java changes to scientific notation.
        1..=9 => format!("{ten_thousandths}.0E-4"),
        _ => {
            let fraction = format!("{:04}", ten_thousandths % 10_000);
            let fraction = match fraction.trim_end_matches('0') {
                "" => "0",
                digits => digits,
            };
            format!("{}.{fraction}", ten_thousandths / 10_000)
        }
    }
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Wall-clock milliseconds as `Date.toString` prints them, always in UTC.
pub(super) fn date(wall_ms: i64) -> String {
    let seconds = wall_ms.div_euclid(1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    // 1970-01-01 was a Thursday.
    let weekday = DAYS[(days + 4).rem_euclid(7) as usize];
    let month = MONTHS[month - 1];
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// Year, month (from 1) and day of a number of days since 1970-01-01, in the
/// Gregorian calendar. Years are counted from 1 March, so that the leap day is
/// the last one.
fn civil(days: i64) -> (i64, usize, i64) {
    const DAYS_PER_ERA: i64 = 146_097; // 400 years
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(DAYS_PER_ERA);
    let day_of_era = from_march_0000.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let is_after_december = month_from_march >= 10;
    let month = if is_after_december {
        month_from_march - 9
    } else {
        month_from_march + 3
    };
    let year = era * 400 + year_of_era + i64::from(is_after_december);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_like_javas() {
        let cases = [
            (0, "0.0"),
            (4, "4.0E-4"),
            (10, "0.001"),
            (1234, "0.1234"),
            (37_500, "3.75"),
            (120_000, "12.0"),
        ];
        for (value, text) in cases {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn dates_look_like_javas() {
        let cases = [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
            (1_795_232_927_000, "Sat Nov 21 03:48:47 UTC 2026"),
            (4_107_542_399_999, "Sun Feb 28 23:59:59 UTC 2100"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969"),
        ];
        for (ms, text) in cases {
            assert_eq!(date(ms), text);
        }
    }
}
