//! A report is made to be shared: what tells who somebody is stays out of it unless asked for.

/// A path with the user's name taken out.
pub(crate) fn path(path: &str, redact: bool) -> String {
    let parts: Vec<&str> = path.split('\\').collect();
    let after_users = parts.iter().position(|part| part.eq_ignore_ascii_case("Users")).map(|index| index + 1).filter(|_| redact);
    let shown = |(index, part): (usize, &&str)| {
        let public = ["Public", "Default", "All Users"].iter().any(|name| part.eq_ignore_ascii_case(name));
        if Some(index) == after_users && !public { "<user>".to_owned() } else { (*part).to_owned() }
    };
    parts.iter().enumerate().map(shown).collect::<Vec<_>>().join("\\")
}

/// A device instance with its serial number taken out: the last part, where Windows did not make it up itself (then it has `&`).
pub(crate) fn device_instance(instance: &str, redact: bool) -> String {
    match instance.rsplit_once('\\') {
        Some((device, last)) if redact && !last.contains('&') && last.len() > 4 && !last.starts_with('{') => format!("{device}\\<serial>"),
        _ => instance.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_serial_numbers_stay_out() {
        assert_eq!(path(r"\Device\HarddiskVolume3\Users\jane\game.exe", true), r"\Device\HarddiskVolume3\Users\<user>\game.exe");
        assert_eq!(path(r"C:\Users\Public\x.exe", true), r"C:\Users\Public\x.exe");
        assert_eq!(path(r"C:\Users\jane\x.exe", false), r"C:\Users\jane\x.exe");
        assert_eq!(device_instance(r"USB\VID_0781&PID_5581\4C530001290", true), r"USB\VID_0781&PID_5581\<serial>");
        assert_eq!(device_instance(r"USB\VID_413C&PID_2107\5&ff9bdde&0&2", true), r"USB\VID_413C&PID_2107\5&ff9bdde&0&2");
        assert_eq!(device_instance(r"ACPI\PNP0303\0", true), r"ACPI\PNP0303\0");
    }
}
